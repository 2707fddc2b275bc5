"""Regions of phase space, and the fraction of a sample inside.

A Regions is a function from events to a table of booleans, with a label for each column. It works on NumPy and JAX arrays alike.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError

Observable = Callable[[Any], Any]  # events [n, dim] -> one number per event [n]


class Regions(NamedTuple):
    """contains: events [n, dim] -> [n, region] booleans; labels: one per region."""

    contains: Callable[[Any], Any]
    labels: tuple[str, ...]


class Sums(NamedTuple):
    """Additive sums over a sample: events, events inside [region], sum w, sum w^2, and both of these inside [region]."""

    n: int
    n_inside: np.ndarray
    weight: float
    square: float
    weight_inside: np.ndarray
    square_inside: np.ndarray

    def plus(self, other: "Sums") -> "Sums":
        """Sums of both samples together."""
        return Sums(
            self.n + other.n,
            self.n_inside + other.n_inside,
            self.weight + other.weight,
            self.square + other.square,
            self.weight_inside + other.weight_inside,
            self.square_inside + other.square_inside,
        )


class Fractions(NamedTuple):
    """Fraction of the sample in each region, the number of unweighted events with the same noise, and the events inside, all [region]."""

    integral: np.ndarray
    n_effective: np.ndarray
    n_inside: np.ndarray


def column(index: int) -> Observable:
    """The observable that is a column of the events."""
    return lambda x: x[..., index]


def radius(x: Any) -> Any:
    """Distance from the origin."""
    return (x * x).sum(axis=-1) ** 0.5


def bins(observable: Observable, edges: Sequence[float] | np.ndarray, name: str) -> Regions:
    """Bins low <= observable < high between consecutive edges; infinite edges make tails.

    >>> bins(column(0), [0, 1, float("inf")], "x").labels
    ('0 <= x < 1', 'x >= 1')
    """
    values = np.asarray(edges, np.float64)
    if values.ndim != 1 or len(values) < 2 or not (np.diff(values) > 0).all():
        raise InputError(f"edges of {name}", "two or more increasing numbers", str(values.tolist()), "sort them and remove repeated ones")
    low, high = values[:-1], values[1:]

    def contains(x: Any) -> Any:
        v = observable(x)[..., None]
        ends = (1,) * (v.ndim - 1) + low.shape
        return (v >= low.reshape(ends)) & (v < high.reshape(ends))

    return Regions(contains, tuple(_interval_label(name, a, b) for a, b in zip(low, high, strict=True)))


def equiprobable_bins(observable: Observable, x: Any, n_bins: int, name: str) -> Regions:
    """n_bins bins, open at both ends, that hold the same fraction of the events x each."""
    if n_bins < 2:
        raise InputError("number of bins", "at least 2", str(n_bins), "one bin holds everything")
    values = np.asarray(observable(x), np.float64)
    inner = np.quantile(values, np.arange(1, n_bins) / n_bins)
    if not (np.diff(inner) > 0).all():
        raise InputError(f"{n_bins} equiprobable bins of {name}", "distinct edges", "repeated values", "use fewer bins or name regions yourself")
    return bins(observable, np.concatenate([[-np.inf], inner, [np.inf]]), name)


def tail(observable: Observable, threshold: float, name: str) -> Regions:
    """Observable >= threshold."""
    return bins(observable, [threshold, np.inf], name)


def shells(edges: Sequence[float] | np.ndarray) -> Regions:
    """Shells low <= |x| < high around the origin."""
    return bins(radius, edges, "r")


def box(low: Sequence[float] | np.ndarray, high: Sequence[float] | np.ndarray, label: str = "box") -> Regions:
    """The box low <= x < high in all dimensions."""
    lower, upper = np.asarray(low, float), np.asarray(high, float)
    if lower.shape != upper.shape or lower.ndim != 1 or not (lower < upper).all():
        raise InputError(f"box {label}", "low < high in every dimension", f"{lower.tolist()} and {upper.tolist()}", "correct the corners")

    def contains(x: Any) -> Any:
        ends = (1,) * (x.ndim - 1) + lower.shape
        return ((x >= lower.reshape(ends)) & (x < upper.reshape(ends))).all(axis=-1)[..., None]

    return Regions(contains, (label,))


def mask(inside: Callable[[Any], Any], label: str) -> Regions:
    """A region of one's own: events [n, dim] -> [n] booleans."""
    return Regions(lambda x: inside(x)[..., None], (label,))


def join(*several: Regions) -> Regions:
    """All the regions, one after the other; they may overlap."""

    def contains(x: Any) -> Any:
        tables = [r.contains(x) for r in several]
        return tables[0].__array_namespace__().concatenate(tables, axis=-1)

    return Regions(contains, tuple(label for r in several for label in r.labels))


def count(regions: Regions, x: np.ndarray, weight: np.ndarray | None = None) -> Sums:
    """Sums over the events x [n, dim]; sums of parts add up to those of the whole, so a sample may come in chunks."""
    inside = np.asarray(regions.contains(x))
    n_inside = inside.sum(axis=0)
    if weight is None:
        return Sums(len(x), n_inside, float(len(x)), float(len(x)), n_inside.astype(float), n_inside.astype(float))
    w = np.asarray(weight, np.float64)
    return Sums(len(x), n_inside, w.sum(), (w**2).sum(), w @ inside, w**2 @ inside)


def fractions(sums: Sums) -> Fractions:
    """Fraction of the sample in each region, sum_V w / sum w, and how many unweighted events would have the same noise.

    The variance of a weighted fraction I is sum w^2 (1_V - I)^2 / (sum w)^2; n_effective is the n for which I (1 - I) / n equals it. Without
    weights that is the number of events.

    Raises:
        InputError: the weights do not sum to a positive number, or a negative sum in a region leaves the fractions outside 0..1.
    """
    if not sums.weight > 0:
        raise InputError("weights", "a positive sum", f"{sums.weight:g}", "check the weight column")
    integral = sums.weight_inside / sums.weight
    integral = np.where(np.abs(integral - np.clip(integral, 0, 1)) < 1e-9, np.clip(integral, 0, 1), integral)  # sums in another order round differently
    if not ((integral >= 0) & (integral <= 1)).all():
        worst = int(np.argmax(np.abs(integral - 0.5)))
        raise InputError("weights", "fractions between 0 and 1", f"{integral[worst]:g} in region {worst}", "widen the region: negative weights dominate it")
    noise = (sums.square_inside * (1 - 2 * integral) + integral**2 * sums.square) / sums.weight**2
    with np.errstate(divide="ignore", invalid="ignore"):
        n_effective = np.where(noise > 0, integral * (1 - integral) / noise, sums.weight**2 / sums.square)
    return Fractions(integral, n_effective, sums.n_inside)


def _interval_label(name: str, low: float, high: float) -> str:
    if np.isinf(low) and np.isinf(high):
        return f"all {name}"
    if np.isinf(high):
        return f"{name} >= {low:.6g}"
    if np.isinf(low):
        return f"{name} < {high:.6g}"
    return f"{low:.6g} <= {name} < {high:.6g}"
