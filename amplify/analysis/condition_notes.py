"""What a comparison at the same condition costs the samples, in warnings."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amplify.analysis.conditions import Counted
from amplify.text import number

_OUTSIDE = 0.01  # share of a sample that is worth a warning
_COSTLY = 0.5  # of the effective events, after reweighting


class Cost(NamedTuple):
    """What a comparison at the same condition costs a sample: the share of its events at values
    that others do not have, and its effective events before and after it is reweighted.
    """

    source: str
    left_out: float
    before: float
    after: float


def cost_of(source: str, counted: Counted, factors: np.ndarray, stratum: np.ndarray) -> Cost:
    """The cost for a sample.

    Args:
        source: what it is called.
        counted: what it has in each place.
        factors: with which its events count in each stratum, and elsewhere.
        stratum: of each place, -1 for none.
    """
    weight, square = counted.weight, counted.square
    outside = stratum < 0
    factor = np.append(factors[:-1], 0.0)[stratum]
    return Cost(
        source,
        float(weight[outside].sum() / weight.sum()),
        float(weight[~outside].sum() ** 2 / square[~outside].sum()),
        float((factor * weight).sum() ** 2 / (factor**2 * square).sum()),
    )


def notes_of(name: str, costs: Sequence[Cost]) -> list[str]:
    """Warnings about events that are left out, and about those that reweighting costs: the worst
    sample, and how many more; `name` is the condition's.
    """
    notes = []
    outside = sorted((c for c in costs if c.left_out > _OUTSIDE), key=lambda c: -c.left_out)
    if outside:
        worst, more = outside[0], _more(outside)
        what = f"{100 * worst.left_out:.2g} % of {worst.source}{more} are at values of"
        notes.append(f"{what} {name} that the others do not have: left out")
    costly = sorted(
        (c for c in costs if c.after < _COSTLY * c.before), key=lambda c: c.after / c.before
    )
    if costly:
        worst, more = costly[0], _more(costly)
        source = f"{worst.source}{more.replace('of ', '')}"
        what = f"{source} follows another distribution of {name}"
        cost = f"reweighted, its {number(worst.before)} events count as {number(worst.after)}"
        notes.append(f"{what}: {cost}")
    return notes


def _more(found: Sequence[Cost]) -> str:
    return f" (and of {len(found) - 1} more)" if len(found) > 1 else ""
