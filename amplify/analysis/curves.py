"""What the plots of a differential result show, as small arrays for results.json."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import kolmogi

from amplify.estimators.differential import Tally
from amplify.estimators.kolmogorov import K1
from amplify.types import Events


def distribution_functions(
    grid: np.ndarray, generated: Tally, holdout: Tally, threshold: float | None, points: int = 201
) -> dict[str, Any]:
    """Both distribution functions at holdout values that are evenly spread in probability, and
    where they differ most: at the threshold, or at the KS place.
    """
    of_gen, of_holdout = (
        np.asarray(part.counts.up_to / part.counts.total, float) for part in (generated, holdout)
    )
    chosen = np.unique(np.linspace(0, len(grid) - 1, points).astype(int))
    if threshold is None:
        place = int(np.argmax(np.abs(of_gen - of_holdout)))
        at, ends = float(grid[place]), (of_gen[place], of_holdout[place])
    else:
        at, ends = (
            threshold,
            tuple(float(part.low / part.counts.total) for part in (generated, holdout)),
        )
    return {
        "t": grid[chosen],
        "generated": of_gen[chosen],
        "holdout": of_holdout[chosen],
        "place": at,
        "generated_there": ends[0],
        "holdout_there": ends[1],
    }


def approach(
    grown: Sequence[tuple[float, float]], n_holdout: float, distance: float
) -> dict[str, Any]:
    """KS distance to the holdout of a growing generated sample, and the mean and central 90 % that
    true events would have.
    """
    n, ks = np.array(grown, float).reshape(-1, 2).T
    root = np.sqrt(1 / (1 / np.maximum(n, 1) + 1 / n_holdout))
    low, high = ((kolmogi(p) - 1 / (6 * root)) / root for p in (0.95, 0.05))
    return {
        "n_gen": n,
        "ks": ks,
        "null_mean": (K1 - 1 / (6 * root)) / root,
        "null_low": low,
        "null_high": high,
        "n_holdout": n_holdout,
        "distance": distance,
    }


def ratio_map(
    generated: Events, holdout: Events, names: Sequence[str], cells: int = 10
) -> dict[str, Any]:
    """Generated over true events in cells of the first two columns that hold the same number of
    holdout events in each column, with its pull.
    """
    edges = [
        np.unique(np.quantile(holdout.x[:, i], np.linspace(0, 1, cells + 1)[1:-1])) for i in (0, 1)
    ]
    shares, variances = [], []
    for sample in (generated, holdout):
        cell = [np.searchsorted(edges[i], sample.x[:, i], side="right") for i in (0, 1)]
        shape = len(edges[0]) + 1, len(edges[1]) + 1
        index = np.ravel_multi_index(cell, shape)
        w = np.ones(len(index)) if sample.weight is None else sample.weight
        shares.append((np.bincount(index, w, shape[0] * shape[1]) / w.sum()).reshape(shape))
        variances.append(
            (np.bincount(index, w**2, shape[0] * shape[1]) / w.sum() ** 2).reshape(shape)
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, pull = (
            shares[0] / shares[1],
            (shares[0] - shares[1]) / np.sqrt(variances[0] + variances[1]),
        )
    ends = [[float(np.quantile(holdout.x[:, i], q)) for q in (0.001, 0.999)] for i in (0, 1)]
    return {
        "columns": list(names[:2]),
        "edges": [np.r_[a[0], e, a[1]] for e, a in zip(edges, ends, strict=True)],
        "ratio": ratio,
        "pull": pull,
    }
