"""The yardstick of a two-sample statistic: its mean between n true events and the truth."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from amplify.estimators.differences import of_labels
from amplify.estimators.permutations import Null

NEVER = 1e-12  # a T that is nothing but rounding
_ENOUGH = 400  # holdout events of which half are compared with half
_SHARES = (2, 8, 32)  # of them, one part against the rest
_FEWEST = 50  # events of such a part
_AGREE = 3.0  # standard deviations within which sizes follow one power law


class Curve(NamedTuple):
    """The mean T of n true events against the truth, c(n) n^(-degree / 2).

    Attributes:
        degree: of the statistic.
        n: sizes that were measured, n m / (n + m) of the two parts, rising.
        constant: c at these; the same where they agree; nan where T is always the same.
        error: relative, of c: its standard error, and what is known of generated events in place of
            true ones.
        source: "holdout"; "generated" where the holdout is short; "both" where both are.
    """

    degree: int
    n: Float[np.ndarray, " size"]
    constant: Float[np.ndarray, " size"]
    error: float
    source: str

    def mean(self, n: Any) -> Any:
        """E[T] of n true events; a power law beyond the sizes measured."""
        c = np.exp(np.interp(np.log(n), np.log(self.n), np.log(self.constant)))
        return c * np.asarray(n, float) ** (-self.degree / 2)

    def inverse(self, distance: Any) -> Any:
        """The n with this E[T]; infinite for none."""
        means = np.minimum.accumulate(self.mean(self.n))
        distance = np.asarray(distance, float)
        with np.errstate(divide="ignore"):
            inside = np.exp(np.interp(-np.log(distance), -np.log(means), np.log(self.n)))
            few = (self.constant[0] / distance) ** (2 / self.degree)
            many = (self.constant[-1] / distance) ** (2 / self.degree)
        return np.where(distance > means[0], few, np.where(distance < means[-1], many, inside))


def null_curve(null: Null, *, experiments: int = 400, seed: int = 0) -> Curve:
    """E[T] of n true events by n, of one part of the holdout against the rest, relabelled.

    These are differences of the pool like others, with nothing at the generated events: T has the
    units of columns, bandwidths and centres that it has for the observed difference. Of a holdout
    of fewer than 400 (effective) events the generated events are taken instead. What that does to c
    is not known; the difference between theirs and that of all events together, relabelled, is
    added to the error.
    Where all samples have fewer than 100 events, all of them together are what there is.

    Args:
        null: of a generated sample against the holdout.
        experiments: relabellings of each n.
        seed: of relabellings.
    """
    statistic, pool, first = null.statistic, null.pool, null.part.n_first
    if max(pool.n_gen, pool.n_holdout) < 2 * _FEWEST:
        mean, error, n = _mean(null, null.permuted, null.part.n)
        c, error = _agreed(np.array([mean * n ** (statistic.degree / 2)]), np.array([error]))
        return Curve(statistic.degree, np.array([n]), c, error, "both")
    short = pool.n_holdout < min(_ENOUGH, pool.n_gen)
    rows, n = np.arange(first, len(pool.x)), pool.n_holdout
    if short:
        rows, n = np.arange(first), pool.n_gen
    measured = [
        _mean(null, _among(null, rows, share, experiments, seed), n * (share - 1) / share**2)
        for share in _SHARES
        if share == 2 or n / share >= _FEWEST
    ]
    means, errors, at = np.array(sorted(measured, key=lambda size: size[2])).T
    c, error = _agreed(means * at ** (statistic.degree / 2), errors)
    if short:
        mean, _, n_pool = _mean(null, null.permuted, null.part.n)
        error = float(np.hypot(error, mean * n_pool ** (statistic.degree / 2) / c[-1] - 1))
    return Curve(statistic.degree, at, c, error, "generated" if short else "holdout")


def _among(
    null: Null, rows: Int[np.ndarray, " some"], share: int, experiments: int, seed: int
) -> Float[np.ndarray, " experiment"]:
    """T of one in so many of these events, chosen at random, against the others of them."""
    weight = null.pool.weight[rows] / null.pool.weight[rows].sum()
    values = []
    for start, stop in null.part.batches(experiments):
        labels = np.zeros((stop - start, len(rows)), bool)
        for number, row in zip(range(start, stop), labels, strict=True):
            rng = np.random.default_rng([seed, number, share])
            row[rng.choice(len(rows), len(rows) // share, replace=False, shuffle=False)] = True
        differences = np.zeros((stop - start, len(null.pool.x)))
        differences[:, rows] = of_labels(weight, labels)
        values.append(np.asarray(null.distances(differences), np.float64))
    return np.concatenate(values)


def _agreed(c: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, float]:
    """The constants by size with their relative error: one for all sizes where they agree."""
    if not (c > NEVER).all():  # a statistic that is the same for all true events
        return np.full(len(c), np.nan), np.inf
    mean = np.average(c, weights=1 / (c * error) ** 2)
    if (np.abs(c / mean - 1) < _AGREE * error).all():
        return np.full(len(c), mean), float(np.sqrt(1 / (1 / error**2).sum()))
    return c, float(error.max())


def _mean(
    null: Null, values: Float[np.ndarray, " experiment"], n: float
) -> tuple[float, float, float]:
    """E[T] of relabelled events, its relative error, and the n that it stands for."""
    away = np.abs(values - values.mean()) if null.statistic.signed else values
    mean = float(away.mean())
    error = float(away.std() / np.sqrt(len(away)) / mean) if mean > 0 else np.inf
    return mean, error, n
