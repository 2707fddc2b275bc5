"""Pairs of densities a known distance apart, for studies that repeat thousands of times: NumPy, so
that no new size compiles anything.

`ring` and `shell`: a generator whose ring is a little too large and too wide, a smooth difference.
`blob`: a generator with 3 % of its events in a spot that truth does not have. `missing`: the same
spot, in truth only. `same`: no difference.

`peak10-W` and `peak2-W`: a resonance of width W with 10 or 2 % of the events, one standard
deviation up a broad background, which the generator has half a width too high; with `-idle` nine
columns stand beside it. `checkerboard`: a uniform square where truth has 10 % more in every second
of four cells. `shift20`: a small step along the diagonal of 20 columns. Of these four learners are
not told the generator's density, as where events come from files.
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
    """Samplers (rng, n) -> x [n, dim] and log densities of generator and truth.

    Attributes:
        exact: D_inf, where it has a closed form.
        told: learners are told the generator's log density.
        differing: (rng, n) -> events [n, dim] and weights w [n], such that the mean of w over a
            region is P_true - P_gen of it, where that is known better than from true events.
    """

    generate: Draw
    true: Draw
    log_prob_gen: Density
    log_prob_true: Density
    exact: float | None = None
    told: bool = True
    differing: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]] | None = None

    def distance(self, events: int = 2_000_000, seed: int = 0) -> float:
        """D_inf = E_true[max(0, 1 - p_gen / p_true)], the total variation distance, to about 2e-3
        of itself where it has no closed form.
        """
        if self.exact is not None:
            return self.exact
        _, weight = self.excess(np.random.default_rng(seed), events)
        return float(np.maximum(weight, 0).mean())

    def excess(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Events [n, dim] and weights [n], whose mean over a region is P_true - P_gen of it: true
        events with 1 - p_gen / p_true, unless there are better ones.
        """
        if self.differing is not None:
            return self.differing(rng, n)
        x = self.true(rng, n)
        return x, -np.expm1(self.log_prob_gen(x) - self.log_prob_true(x))

    @property
    def known_log_prob(self) -> Density | None:
        """The log density of the generator, if learners are told."""
        return self.log_prob_gen if self.told else None


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


def _peak(share: float, width: float, idle: int) -> Toy:
    """A resonance on N(0, 1), shifted by half its width: D = share (2 Phi(1/4) - 1)."""
    places = 1 + width / 2, 1.0  # of generator and truth

    def sampler(place: float) -> Draw:
        def draw(rng: np.random.Generator, n: int) -> np.ndarray:
            x = rng.normal(size=(n, 1 + idle))
            inside = rng.random(n) < share
            x[inside, 0] = place + width * x[inside, 0]
            return x

        return draw

    def density(place: float) -> Density:
        def log_prob(x: np.ndarray) -> np.ndarray:
            resonance = np.log(share) + norm.logpdf(x[:, 0], place, width)
            background = np.log(1 - share) + norm.logpdf(x[:, 0])
            return np.logaddexp(resonance, background) + norm.logpdf(x[:, 1:]).sum(axis=1)

        return log_prob

    def differing(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Events of both resonances, as the background is the same."""
        x = rng.normal(size=(n, 1 + idle))
        x[:, 0] = np.where(np.arange(n) % 2, *places) + width * x[:, 0]
        of_gen, of_true = (norm.pdf(x[:, 0], place, width) for place in places)
        return x, share * 2 * (of_true - of_gen) / (of_true + of_gen)

    return Toy(
        sampler(places[0]),
        sampler(places[1]),
        density(places[0]),
        density(places[1]),
        exact=float(share * (2 * norm.cdf(0.25) - 1)),
        told=False,
        differing=differing,
    )


_CELLS, _CONTRAST = 2, 0.1


def _checkerboard() -> Toy:
    def sign(x: np.ndarray) -> np.ndarray:
        return 1 - 2 * (np.floor(x * _CELLS).astype(int).sum(axis=1) % 2)

    def square(rng: np.random.Generator, n: int) -> np.ndarray:
        return rng.random((n, 2))

    def board(rng: np.random.Generator, n: int) -> np.ndarray:
        x = rng.random((n, 2))
        # an event of a light cell moves to the dark one beside it with the probability contrast
        moved = (sign(x) < 0) & (rng.random(n) < _CONTRAST)
        x[moved, 0] = (x[moved, 0] + 1 / _CELLS) % 1
        return x

    def log_prob(x: np.ndarray) -> np.ndarray:
        return np.log1p(_CONTRAST * sign(x))

    return Toy(square, board, lambda x: np.zeros(len(x)), log_prob, _CONTRAST / 2, told=False)


def _shift(dim: int, size: float) -> Toy:
    """N(m, 1) with |m| = size against N(0, 1): D = 2 Phi(size / 2) - 1."""
    step = size / np.sqrt(dim)

    def sampler(mean: float) -> Draw:
        return lambda rng, n: rng.normal(mean, 1, (n, dim))

    def density(mean: float) -> Density:
        return lambda x: norm.logpdf(x, mean).sum(axis=1)

    exact = float(2 * norm.cdf(size / 2) - 1)
    return Toy(sampler(step), sampler(0.0), density(step), density(0.0), exact, told=False)


_SPOTTED = (_spotted, _spotted_log_prob)
NARROW = {
    f"peak{percent}-{width:g}{'-idle' * (idle > 0)}": _peak(percent / 100, width, idle)
    for percent in (10, 2)
    for width in (0.03, 0.05, 0.1)
    for idle in (0, 9)
}
TOYS = {
    "ring": _toy(_rings(2, 4.1, 1.05), _rings(2, 4.0, 1.0)),
    "shell": _toy(_rings(4, 4.1, 1.05), _rings(4, 4.0, 1.0)),
    "blob": _toy(_SPOTTED, _rings(2, 4.0, 1.0)),
    "missing": _toy(_rings(2, 4.0, 1.0), _SPOTTED),
    "same": _toy(_rings(2, 4.0, 1.0), _rings(2, 4.0, 1.0)),
    "checkerboard": _checkerboard(),
    "shift20": _shift(20, 0.2),
    **NARROW,
}


def n_equiv(distance: float) -> float:
    """(K1 / D)^2."""
    return float((K1 / distance) ** 2)
