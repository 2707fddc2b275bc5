"""Some of many events, chosen at random, and the units in which their columns are compared."""

import numpy as np

_SCALED = 20_000  # events that tell the spread of a column


def spreads(x: np.ndarray) -> np.ndarray:
    """Half the central 68 % of each column; the standard deviation of those that mostly repeat one
    value, and 1 of constants.
    """
    x = x[:: max(len(x) // _SCALED, 1)]
    low, high = np.quantile(x, [0.16, 0.84], axis=0)
    unit = np.where(high > low, (high - low) / 2, x.std(axis=0))
    return np.where(unit > 0, unit, 1.0)


def some_by_weight(
    rng: np.random.Generator, x: np.ndarray, weight: np.ndarray | None, most: int
) -> np.ndarray:
    """Some of the events in no order, by the size of their weights where they have them."""
    size = np.ones(len(x)) if weight is None else np.abs(weight)
    if weight is None or not size.sum() > 0:
        return x[rng.permutation(len(x))[:most]]
    n = min(most, len(x))
    return x[rng.choice(len(x), n, p=size / size.sum())]


def some_or_thinned(
    rng: np.random.Generator,
    x: np.ndarray,
    weight: np.ndarray | None,
    most: int,
    *,
    alone: bool,
) -> tuple[np.ndarray, float]:
    """Some of the events in no order, and what part of all by weight they are; accepted or rejected
    by weights that they `alone` have.
    """
    size = np.ones(len(x)) if weight is None else np.abs(weight)
    kept = rng.permutation(len(x))
    if weight is not None and alone:
        kept = kept[rng.random(len(x)) * size.max() <= size[kept]]
    kept = kept[:most]
    return x[kept], float(size[kept].sum() / size.sum())
