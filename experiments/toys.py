"""Pairs of densities a known distance apart, for studies that repeat thousands of times: NumPy, so
that no new size compiles anything.

`ring` and `shell`: a generator whose ring is a little too large and too wide, a smooth difference.
`blob`: a generator with 3 % of its events in a spot that truth does not have. `missing`: the same
spot, in truth only. `same`: no difference.
"""

from collections.abc import Callable
from functools import partial
from math import lgamma, log, pi
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from amplify.estimators.kolmogorov import K1

Draw = Callable[[np.random.Generator, int], np.ndarray]
Density = Callable[[np.ndarray], np.ndarray]


class Toy(NamedTuple):
    """Samplers (rng, n) -> x [n, dim] and log densities of generator and truth."""

    generate: Draw
    true: Draw
    log_prob_gen: Density
    log_prob_true: Density

    def distance(self, events: int = 2_000_000, seed: int = 0) -> float:
        """D_inf = E_true[max(0, 1 - p_gen / p_true)], the total variation distance, to about 2e-3
        of itself.
        """
        x = self.true(np.random.default_rng(seed), events)
        return float(np.maximum(-np.expm1(self.log_prob_gen(x) - self.log_prob_true(x)), 0).mean())


def ring(rng: np.random.Generator, n: int, dim: int, radius: float, width: float) -> np.ndarray:
    """Events of `amplify.truth.ring`."""
    direction = rng.normal(size=(n, dim))
    r = rng.normal(radius, width, (n, 1))
    return r * direction / np.linalg.norm(direction, axis=1, keepdims=True)


def ring_log_prob(x: np.ndarray, radius: float, width: float) -> np.ndarray:
    """Log density of `amplify.truth.ring`."""
    dim, r = x.shape[1], np.linalg.norm(x, axis=1)
    folded = np.logaddexp(norm.logpdf(r, radius, width), norm.logpdf(r, -radius, width))
    return folded - (dim - 1) * np.log(r) - (log(2) + dim / 2 * log(pi) - lgamma(dim / 2))


_SPOT, _SPOT_WIDTH, _SPOT_SHARE = np.array([4.0, 0.0]), 0.25, 0.03


def _spotted(rng: np.random.Generator, n: int) -> np.ndarray:
    x = ring(rng, n, 2, 4.0, 1.0)
    inside = rng.random(n) < _SPOT_SHARE
    x[inside] = _SPOT + _SPOT_WIDTH * rng.normal(size=(int(inside.sum()), 2))
    return x


def _spotted_log_prob(x: np.ndarray) -> np.ndarray:
    spot = norm.logpdf((x - _SPOT) / _SPOT_WIDTH).sum(axis=1) - 2 * np.log(_SPOT_WIDTH)
    around = ring_log_prob(x, 4.0, 1.0)
    return np.logaddexp(np.log(1 - _SPOT_SHARE) + around, np.log(_SPOT_SHARE) + spot)


def _rings(dim: int, radius: float, width: float) -> tuple[Draw, Density]:
    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return ring(rng, n, dim, radius, width)

    return draw, partial(ring_log_prob, radius=radius, width=width)


def _toy(generator: tuple[Draw, Density], truth: tuple[Draw, Density]) -> Toy:
    return Toy(generator[0], truth[0], generator[1], truth[1])


_SPOTTED = (_spotted, _spotted_log_prob)
TOYS = {
    "ring": _toy(_rings(2, 4.1, 1.05), _rings(2, 4.0, 1.0)),
    "shell": _toy(_rings(4, 4.1, 1.05), _rings(4, 4.0, 1.0)),
    "blob": _toy(_SPOTTED, _rings(2, 4.0, 1.0)),
    "missing": _toy(_rings(2, 4.0, 1.0), _SPOTTED),
    "same": _toy(_rings(2, 4.0, 1.0), _rings(2, 4.0, 1.0)),
}


def n_equiv(distance: float) -> float:
    """(K1 / D)^2."""
    return float((K1 / distance) ** 2)
