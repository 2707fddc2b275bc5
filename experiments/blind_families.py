"""The generators of `experiments.blind` whose members are bootstrapped: lifetimes fitted by a
Weibull distribution, and a smoothed histogram on a circle, without and with weights.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

N_TRAIN = 1000
NEGATIVE = 0.1  # share of the events with signed weights that have -1


class Family(NamedTuple):
    """A generator with few or many parameters, and truth among what it can describe.

    Attributes:
        true: its parameters.
        edges: of the regions.
        draw: (rng, parameters, sets, n) -> events [set, n].
        fit: events [set, n] -> parameters [set, parameter].
        fractions: parameters [..., parameter] -> fractions [..., region].
        weighted: (rng, parameters, n) -> events [n] and weights [n].
    """

    true: np.ndarray
    edges: np.ndarray
    draw: Callable[[np.random.Generator, np.ndarray, int, int], np.ndarray]
    fit: Callable[[np.ndarray], np.ndarray]
    fractions: Callable[[np.ndarray], np.ndarray]
    weighted: Callable[[np.random.Generator, np.ndarray, int], tuple[np.ndarray, np.ndarray]]

    @property
    def integral(self) -> np.ndarray:
        """True fractions [region]."""
        return self.fractions(self.true)


_SHAPE = 1.5
_BELOW = np.array([0.0, 0.03, 0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 0.97, 1.0])
with np.errstate(divide="ignore"):
    _TIMES = (-np.log1p(-_BELOW)) ** (1 / _SHAPE)
_SPREAD = 1.2  # mean of the exponential that weighted lifetimes are drawn from


def _draw_weibull(rng: np.random.Generator, p: np.ndarray, sets: int, n: int) -> np.ndarray:
    return p[1] * rng.weibull(p[0], (sets, n))


def fit_weibull(x: np.ndarray) -> np.ndarray:
    """Maximum likelihood, shape and scale, by Newton's method."""
    log = np.log(x)
    mean = log.mean(axis=-1, keepdims=True)
    log = log - mean
    shape = 1.28 / log.std(axis=-1)
    for _ in range(5):
        power = np.exp(shape[..., None] * log)
        zeroth, first, second = (np.mean(power * log**k, axis=-1) for k in range(3))
        center = first / zeroth
        slope = second / zeroth - center**2 + 1 / shape**2
        shape = shape - (center - 1 / shape) / slope
    scale = np.mean(np.exp(shape[..., None] * log), axis=-1) ** (1 / shape)
    return np.stack([shape, scale * np.exp(mean[..., 0])], axis=-1)


def _weibull_fractions(p: np.ndarray) -> np.ndarray:
    return -np.diff(np.exp(-((_TIMES / p[..., 1:]) ** p[..., :1])), axis=-1)


def _weibull_weighted(
    rng: np.random.Generator, p: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lifetimes of an exponential, weighted to those of the fit: with weights of 0 to 1.5."""
    x = _SPREAD * rng.exponential(size=n)
    scaled = x / p[1]
    density = p[0] / p[1] * scaled ** (p[0] - 1) * np.exp(-(scaled ** p[0]))
    return x, density * _SPREAD * np.exp(x / _SPREAD)


_FINE, _COARSE = 40, 10  # bins of the histogram, and regions
_KERNEL = np.array([1, 6, 15, 20, 15, 6, 1]) / 64


def _smoothed(histogram: np.ndarray) -> np.ndarray:
    return sum(w * np.roll(histogram, k - 3, axis=-1) for k, w in enumerate(_KERNEL))  # pyright: ignore[reportReturnType]


def _draw_histogram(rng: np.random.Generator, p: np.ndarray, sets: int, n: int) -> np.ndarray:
    bin = np.searchsorted(np.cumsum(p[:-1]), rng.random((sets, n)), side="right")
    return (bin + rng.random((sets, n))) / _FINE


def fit_histogram(x: np.ndarray) -> np.ndarray:
    """Fractions in the fine bins, smoothed around the circle."""
    place = (x * _FINE).astype(int) + _FINE * np.arange(len(x))[:, None]
    counts = np.bincount(place.ravel(), minlength=_FINE * len(x)).reshape(len(x), _FINE)
    return _smoothed(counts / x.shape[1])


def _histogram_fractions(p: np.ndarray) -> np.ndarray:
    return p.reshape(*p.shape[:-1], _COARSE, -1).sum(axis=-1)


def _histogram_weighted(
    rng: np.random.Generator, p: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """A tenth with -1, uniform, and as many more of these with 1."""
    sort = rng.random(n)
    x = np.where(sort < 2 * NEGATIVE, rng.random(n), _draw_histogram(rng, p, 1, n)[0])
    return x, np.where(sort < NEGATIVE, -1.0, 1.0)


_CIRCLE = (1 + 0.5 * np.cos(2 * np.pi * (np.arange(_FINE) + 0.5) / _FINE)) / _FINE
FAMILIES = {
    "weibull": Family(
        np.array([_SHAPE, 1.0]),
        _TIMES,
        _draw_weibull,
        fit_weibull,
        _weibull_fractions,
        _weibull_weighted,
    ),
    "histogram": Family(
        _CIRCLE,
        np.linspace(0, 1, _COARSE + 1),
        _draw_histogram,
        fit_histogram,
        _histogram_fractions,
        _histogram_weighted,
    ),
}


def sigma_model(family: Family, trainings: int, seed: int) -> np.ndarray:
    """Error of one training in each region, from so many of them: to 1 / sqrt(2 trainings)."""
    rng, batch = np.random.default_rng([seed, 1]), 50
    found = [
        family.fractions(family.fit(family.draw(rng, family.true, batch, N_TRAIN)))
        for _ in range(trainings // batch)
    ]
    return np.sqrt(np.mean((np.concatenate(found) - family.integral) ** 2, axis=0))


def members_of(rng: np.random.Generator, family: Family, members: int) -> np.ndarray:
    """Parameters [member, parameter] of members on bootstrap samples of one training set."""
    train = family.draw(rng, family.true, 1, N_TRAIN)[0]
    return family.fit(train[rng.integers(0, N_TRAIN, (members, N_TRAIN))])
