"""Where is a generated sample wrong? The places of `amplify.estimators.local`, named as regions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from amplify import regions as rg
from amplify.estimators.local import Box, LocalTest, local_test
from amplify.estimators.statistics.gaussian import witness
from amplify.estimators.statistics.nplm import log_ratio
from amplify.types import Events


def where_it_is_wrong(
    generated: Events,
    holdout: Events,
    names: Sequence[str],
    *,
    permutations: int = 499,
    level: float = 0.05,
    most: int = 5,
    seed: int = 0,
) -> dict[str, Any]:
    """What results.json says of the places where generated and true events differ most, after
    look-elsewhere.

    Args:
        generated: generated events.
        holdout: true events, in the same columns.
        names: of the columns.
        permutations: relabellings of the pooled events.
        level: of the probability that any of the places is there by chance.
        most: places that are named.
        seed: of the relabellings.
    """
    found = local_test(
        generated.x,
        holdout.x,
        weight_gen=generated.weight,
        weight_holdout=holdout.weight,
        looks=[log_ratio, witness],
        permutations=permutations,
        level=level,
        most=most,
        seed=seed,
    )
    return local_record(found, names, permutations=permutations, level=level)


def local_record(
    found: LocalTest, names: Sequence[str], *, permutations: int, level: float
) -> dict[str, Any]:
    """The same of a test that was made."""
    return {
        "boxes": [_box_record(box, names) for box in found.boxes],
        "p": found.p,
        "level": level,
        "permutations": permutations,
        "looked_at": found.looked_at,
        "n_gen": found.n_gen,
        "n_holdout": found.n_holdout,
        "taught": found.taught,
    }


def box_label(box: Box, names: Sequence[str]) -> str:
    """A box as regions are labelled.

    >>> box = Box((0, 1), (410.0, -np.inf), (520.0, 0.8), 1.31, 0.07, 5.0, 0.002, 0.03)
    >>> box_label(box, ["pt", "abs(eta)"])
    '410 <= pt < 520 and abs(eta) < 0.8'
    """
    sides = zip(box.columns, box.low, box.high, strict=True)
    each = [rg.intervals(rg.column(c), [low], [high], names[c]).labels[0] for c, low, high in sides]
    return " and ".join(each)


def _box_record(box: Box, names: Sequence[str]) -> dict[str, Any]:
    ends = zip(box.low, box.high, strict=True)
    return {
        "label": box_label(box, names),
        "columns": [names[column] for column in box.columns],
        "intervals": [[_finite(low), _finite(high)] for low, high in ends],
        "ratio": _finite(box.ratio),
        "error": _finite(box.error),
        "z": box.z,
        "p": box.p,
        "share": box.share,
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
