"""What generators that were trained on subsamples of the training data say of one that is trained
on all of it, and on more (docs/method, Forecast from the training data alone).

Each is tested on the events that it has not seen, its complement. Complements overlap, and so may
subsamples, so that what one training says is not independent of the others: the covariances here
follow the events.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from amplify.errors import InputError
from amplify.estimators.kolmogorov import K1
from amplify.estimators.power_law import Curves, PowerLaw, fit_power_law

# exponents that are tried where none is known: of D, of a bias, of a variance. Ranges were chosen
# with a fitted Gaussian and with kernel densities on the ring, seed 900
FREE = np.linspace(0.0, 1.0, 51)
OF_BIAS = np.linspace(0.1, 1.0, 46)
OF_VARIANCE = np.linspace(0.75, 1.25, 26)
_EVENTS = 1 << 16  # at once
_MOST_CORRELATED = 0.95  # of two sizes: what is closer to one is the model's
_LEAST_KNOWN = 1e-3  # variance of a combination of sizes, in units of the largest
_SHARED = 0.9  # at most, of an event's effect on a training and on the test of another


class Subsamples(NamedTuple):
    """Which events each training has seen, and which it is tested on.

    Attributes:
        size: events of each subsample [training].
        seen: which of all events are in it [training, event]; all False where nobody knows, because
            the test is on other events.
        tested: which events it is tested on, none of which it has seen [training, event].
        weight: of the events [event], or None.
    """

    size: Float[np.ndarray, " training"]
    seen: Bool[np.ndarray, "training event"]
    tested: Bool[np.ndarray, "training event"]
    weight: Float[np.ndarray, " event"] | None = None

    @property
    def sizes(self) -> Float[np.ndarray, " size"]:
        """The different sizes, rising."""
        return np.unique(self.size)

    def means(self) -> Float[np.ndarray, "size training"]:
        """The matrix that averages trainings of the same size."""
        same = (self.size == self.sizes[:, None]).astype(float)
        return same / same.sum(axis=1, keepdims=True)

    def overlap(self) -> Float[np.ndarray, "training training"]:
        """How correlated trainings are by what they have seen: events in common over the geometric
        mean of the sizes.
        """
        return _products(self.seen, self.seen) / np.sqrt(np.outer(self.size, self.size))

    def shares(
        self, inside: Bool[np.ndarray, "training event"] | Bool[np.ndarray, " event"]
    ) -> Any:
        """Fraction (weighted) of the tested events of each training that are inside [training], and
        the covariance of these fractions [training, training].

        Args:
            inside: which events count, of each training [training, event] or of all [event].
        """
        weight = np.ones(self.seen.shape[1]) if self.weight is None else self.weight
        inside = np.broadcast_to(inside, self.tested.shape)
        total = self.tested @ weight
        if not (total > 0).all():
            expected, got = "true events to test on, of a positive sum", "none of some training"
            raise InputError("subsamples", expected, got, "train on smaller ones")
        share = np.array([row @ weight for row in inside & self.tested]) / total
        covariance = np.zeros((len(share), len(share)))
        for start in range(0, len(weight), _EVENTS):
            part = slice(start, start + _EVENTS)
            deviation = (inside[:, part] - share[:, None]) * self.tested[:, part]
            deviation = deviation * weight[part] / total[:, None]
            covariance += deviation @ deviation.T
        return share, covariance


class Trend(NamedTuple):
    """What was measured at each size, and the law through it.

    Attributes:
        size: of the subsamples [size].
        value: mean over the trainings of that size [size].
        error: of it [size].
        law: through the values.
    """

    size: Float[np.ndarray, " size"]
    value: Float[np.ndarray, " size"]
    error: Float[np.ndarray, " size"]
    law: PowerLaw


class IntegralTrends(NamedTuple):
    """Of the integral over one region.

    Attributes:
        bias: mean difference to the truth.
        variance: between trainings.
    """

    bias: Trend
    variance: Trend

    def draws(self) -> "ErrorCurves":
        """Equally probable curves of sigma_model^2."""
        return ErrorCurves(self.bias.law.draws(seed=1), self.variance.law.draws(seed=2))


class ErrorCurves(NamedTuple):
    """Equally probable curves of sigma_model^2 = bias^2 + variance."""

    bias: Curves
    variance: Curves

    def at(self, k: float) -> Float[np.ndarray, " draw"]:
        """Sigma_model^2 of each at size k."""
        return self.bias.at(k) ** 2 + np.maximum(self.variance.at(k), 0.0)


def distance_trend(
    subsamples: Subsamples,
    low: Bool[np.ndarray, "training event"],
    low_gen: Float[np.ndarray, " training"],
    n_gen: Float[np.ndarray, " training"],
    *,
    n: float,
    exponents: Float[np.ndarray, " grid"] | float = FREE,
) -> Trend:
    """The law of D0 = P_true(t <= 0) - P_gen(t <= 0) of the mean training at each size.

    Args:
        subsamples: who has seen what.
        low: which events have t <= 0 in the ratio of each training.
        low_gen: fraction of the generated events of each with t <= 0.
        n_gen: how many (effective ones, for weights) those were.
        n: training events of the generator that is forecast.
        exponents: of D, free on a grid or fixed.
    """
    share, covariance = subsamples.shares(low)
    distance = share - low_gen
    covariance = covariance + np.diag(low_gen * (1 - low_gen) / n_gen)
    means, sizes = subsamples.means(), subsamples.sizes
    average, sampling = means @ distance, means @ covariance @ means.T
    spread = _relative_spread(distance, covariance, means)
    overlap = subsamples.overlap() ** 2

    def of_means(law: PowerLaw | None) -> np.ndarray:
        """Of the mean of each size: finite events, and how much luck trainings have."""
        known = np.maximum(average if law is None else law.best(sizes), 0)
        typical = spread * (known @ (means > 0))
        return _regular(sampling + means @ (overlap * np.outer(typical, typical)) @ means.T)

    law = fit_power_law(average, sizes, of_means, n=n, exponents=exponents)
    return Trend(sizes, average, np.sqrt(np.diag(of_means(law))), law)


def integral_trends(
    subsamples: Subsamples,
    integral: Float[np.ndarray, " training"],
    noise: Float[np.ndarray, " training"],
    inside: Bool[np.ndarray, " event"],
    *,
    n: float,
    bias_exponents: Float[np.ndarray, " grid"] | float = OF_BIAS,
    variance_exponents: Float[np.ndarray, " grid"] | float = OF_VARIANCE,
) -> IntegralTrends:
    """The laws of bias and variance of the integral over one region: both together are
    sigma_model^2.

    The variance is that between trainings of one size. The bias is the mean difference to the
    complements; they fix it to the precision of all the training data and no better.

    Args:
        subsamples: who has seen what.
        integral: of each training.
        noise: variance of it from its finite number of generated events.
        inside: which events are in the region.
        n: training events of the generator that is forecast.
        bias_exponents: free on a grid or fixed.
        variance_exponents: the same of the variance.
    """
    share, of_complement = subsamples.shares(inside)
    variance = _variance_trend(subsamples, integral, noise, n, variance_exponents)
    means, sizes = subsamples.means(), subsamples.sizes
    binomial = share.mean() * (1 - share.mean())
    # an integral answers to an event partly as a count does, which the complement shares where it
    # is another's training set
    one_event = np.maximum(variance.law.best(sizes), 0) @ (means > 0) * subsamples.size
    as_count = np.minimum(one_event, binomial)
    alone = np.sqrt(one_event - as_count**2 / binomial)
    of_two = np.outer(as_count, as_count) / binomial + np.outer(alone, alone)
    both = _SHARED * _crossed(subsamples) * as_count[:, None]
    covariance = subsamples.overlap() * of_two
    covariance = covariance / np.sqrt(np.outer(subsamples.size, subsamples.size))
    covariance = covariance + of_complement + np.diag(noise) - both - both.T
    of_means = _regular(means @ covariance @ means.T)
    average = means @ (integral - share)
    law = fit_power_law(average, sizes, of_means, n=n, exponents=bias_exponents)
    return IntegralTrends(Trend(sizes, average, np.sqrt(np.diag(of_means)), law), variance)


def _variance_trend(
    subsamples: Subsamples,
    integral: np.ndarray,
    noise: np.ndarray,
    n: float,
    exponents: np.ndarray | float,
) -> Trend:
    """Sums of squares of the trainings of each size around their mean, less the noise."""
    overlap, sizes = subsamples.overlap(), subsamples.sizes
    groups = [np.flatnonzero(subsamples.size == k) for k in sizes]
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        fix = "train on at least two subsamples of each size"
        raise InputError("subsamples", "two trainings of one size", "one of each", fix)
    sizes = np.array([subsamples.size[group[0]] for group in groups])
    centred = [(np.eye(len(g)) - 1 / len(g)) / (len(g) - 1) for g in groups]
    # what trainings have in common does not scatter
    counts = [np.trace(c @ overlap[np.ix_(g, g)]) for c, g in zip(centred, groups, strict=True)]
    values = np.array(
        [
            (integral[g].var(ddof=1) - noise[g].mean()) / count
            for g, count in zip(groups, counts, strict=True)
        ]
    )
    least = 1e-3 * integral.mean() * (1 - integral.mean()) / sizes

    def of_values(law: PowerLaw | None) -> np.ndarray:
        known = np.maximum(values if law is None else law.best(sizes), least)
        found = np.empty((len(groups), len(groups)))
        for i, a in enumerate(groups):
            for j, b in enumerate(groups):
                shared = overlap[np.ix_(a, b)] * np.sqrt(known[i] * known[j])
                shared = shared + (np.diag(noise[a]) if i == j else 0)
                square = np.trace(centred[i] @ shared @ centred[j] @ shared.T)
                found[i, j] = 2 * square / counts[i] / counts[j]
        return _regular(found)

    law = fit_power_law(values, sizes, of_values, n=n, exponents=exponents)
    return Trend(sizes, values, np.sqrt(np.diag(of_values(law))), law)


def _crossed(subsamples: Subsamples) -> np.ndarray:
    """Share of what one has seen that another is tested on, for each event that is tested."""
    tested = subsamples.tested.sum(axis=1)
    return _products(subsamples.seen, subsamples.tested) / np.outer(subsamples.size, tested)


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Events in common [training, training]."""
    found = np.zeros((len(a), len(b)))
    for start in range(0, a.shape[1], _EVENTS):
        part = slice(start, start + _EVENTS)
        found += a[:, part].astype(np.float32) @ b[:, part].T.astype(np.float32)
    return found


def _relative_spread(distance: np.ndarray, covariance: np.ndarray, means: np.ndarray) -> float:
    """Standard deviation of D between trainings of the same size, in units of their mean: pooled
    over sizes, less what the finite events explain.
    """
    spread = level = 0.0
    for row in means:
        which = row > 0
        if which.sum() < 2:
            continue
        free = which.sum() - 1
        of_these = covariance[np.ix_(which, which)]
        chance = (np.trace(of_these) - of_these.mean() * len(of_these)) / free
        spread += free * (distance[which].var(ddof=1) - chance)
        level += free * max(distance[which].mean() ** 2 - of_these.mean(), 0.0)
    return float(np.sqrt(max(spread, 0.0) / level)) if level > 0 else 0.0


def _regular(covariance: np.ndarray) -> np.ndarray:
    """The same, with no combination of sizes known better than a model of the errors can tell."""
    diagonal = np.diag(np.diag(covariance))
    mixed = _MOST_CORRELATED * covariance + (1 - _MOST_CORRELATED) * diagonal
    values, vectors = np.linalg.eigh(mixed)
    return (vectors * np.maximum(values, _LEAST_KNOWN * values.max())) @ vectors.T


def distance_factor(distance: Any, n: float) -> Any:
    """G = (K1 / D)^2 / n; infinite where D is not positive."""
    positive = distance > 0
    return np.where(positive, (K1 / np.where(positive, distance, 1.0)) ** 2 / n, np.inf)


def variance_factor(variance: Any, integral: Any, n: float) -> Any:
    """G = I (1 - I) / sigma_model^2 / n; infinite where the variance is not positive."""
    positive = variance > 0
    binomial = integral * (1 - integral)
    return np.where(positive, binomial / np.where(positive, variance, 1.0) / n, np.inf)
