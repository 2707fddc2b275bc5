"""The mixtures of Gaussians of arXiv:2409.16336 in 5, 20 and 100 dimensions, number by number, and
the ways in which that work deforms them.

Their centres, widths and shares are uniform random numbers of TensorFlow with seed 0. Those are
made by a counter (Philox 4x32 of ten rounds, Salmon et al. 2011) whose key and start follow from
the seed, so a few lines make the same ones; the five-dimensional mixture, which is printed in that
work, is the check.
"""

import random
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

COMPONENTS = {5: 3, 20: 5, 100: 10}
"""Gaussians in the mixture of each dimension."""

_WORD = np.uint64(0xFFFFFFFF)
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_KEY_STEPS = 0x9E3779B9, 0xBB67AE85


class Mixture(NamedTuple):
    """Gaussians without correlations: shares [k], centres [k, dim], widths [k, dim]."""

    share: np.ndarray
    centre: np.ndarray
    width: np.ndarray

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Independent events [n, dim]."""
        which = rng.choice(len(self.share), n, p=self.share)
        noise = rng.normal(size=(n, self.centre.shape[1]))
        return self.centre[which] + self.width[which] * noise

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Log density at events [n, dim]."""
        terms = []
        for share, centre, width in zip(self.share, self.centre, self.width, strict=True):
            z = (x - centre) / width
            log_norm = np.log(width).sum() + len(width) / 2 * np.log(2 * np.pi)
            terms.append(np.log(share) - log_norm - (z**2).sum(axis=1) / 2)
        return np.asarray(logsumexp(np.stack(terms), axis=0))

    @property
    def mean(self) -> np.ndarray:
        """Of each column."""
        return self.share @ self.centre


class Deformation(NamedTuple):
    """A generator that is wrong by a size eps.

    Attributes:
        title: for tables.
        apply: true events, eps, rng -> events of that generator.
        log_prob: events and eps -> its log density, or None where it has no closed form.
    """

    title: str
    apply: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
    log_prob: Callable[[np.ndarray, float], np.ndarray] | None


@cache
def mixture(dim: int) -> Mixture:
    """The mixture of 5, 20 or 100 dimensions."""
    k = COMPONENTS[dim]
    seeds = _operation_seeds(3)
    centre = 10 * _uniform(k * dim, seeds[0]).reshape(k, dim) - 5
    width = _uniform(k * dim, seeds[1]).reshape(k, dim)
    share = _uniform(k, seeds[2])
    return Mixture(share / share.sum(), centre, width)


def deformations(dim: int) -> dict[str, Deformation]:
    """What that work does to the mixture of this dimension, by names: the same random direction of
    shifts and widths as there.
    """
    model = mixture(dim)
    direction = _uniform(dim, _operation_seeds(1)[0])

    def shifted(x: np.ndarray, eps: float, rng: np.random.Generator) -> np.ndarray:
        return x + eps * (2 * direction - 1)

    def scaled(x: np.ndarray, eps: float, rng: np.random.Generator) -> np.ndarray:
        return model.mean + (x - model.mean) * (1 + eps * direction)

    def shuffled(x: np.ndarray, eps: float, rng: np.random.Generator) -> np.ndarray:
        some = rng.choice(len(x), int(len(x) * min(eps, 1.0)), replace=False)
        y = scaled(x, max(eps - 1, 0.0), rng)  # shares beyond one also widen, as there
        y[some] = rng.permuted(y[some], axis=0)
        return y

    def bent(x: np.ndarray, eps: float, rng: np.random.Generator) -> np.ndarray:
        return np.sign(x) * np.abs(x) ** (1 + eps)

    def blurred(x: np.ndarray, eps: float, rng: np.random.Generator) -> np.ndarray:
        return x + eps * rng.normal(size=x.shape)

    def log_shifted(y: np.ndarray, eps: float) -> np.ndarray:
        return model.log_prob(y - eps * (2 * direction - 1))

    def log_scaled(y: np.ndarray, eps: float) -> np.ndarray:
        factor = 1 + eps * direction
        return model.log_prob(model.mean + (y - model.mean) / factor) - np.log(factor).sum()

    def log_bent(y: np.ndarray, eps: float) -> np.ndarray:
        power = 1 + eps
        x = np.sign(y) * np.abs(y) ** (1 / power)
        slope = np.log(power) + (power - 1) * np.log(np.abs(x))
        return model.log_prob(x) - slope.sum(axis=1)

    def log_blurred(y: np.ndarray, eps: float) -> np.ndarray:
        return model._replace(width=np.hypot(model.width, eps)).log_prob(y)

    return {
        "mean": Deformation("means", shifted, log_shifted),
        "width": Deformation("widths", scaled, log_scaled),
        "correlation": Deformation("correlations", shuffled, None),
        "power": Deformation("power law", bent, log_bent),
        "noise": Deformation("noise", blurred, log_blurred),
    }


def _operation_seeds(n: int, seed: int = 0) -> list[int]:
    """What each of the first n random operations after a global seed adds to it."""
    lot = random.Random(seed)  # noqa: S311
    return [lot.randint(0, 2**31 - 1) for _ in range(n)]


def _uniform(n: int, operation: int, seed: int = 0) -> np.ndarray:
    """Double-precision numbers [n] between zero and one: 52 bits of two words each."""
    counter = np.zeros((4, (n + 1) // 2), np.uint64)
    counter[0] = np.arange(counter.shape[1])
    counter[2] = operation
    words = _philox(counter, (seed & 0xFFFFFFFF, seed >> 32)).T.reshape(-1, 2)
    bits = ((words[:, 0] & np.uint64(0xFFFFF)) << np.uint64(32)) | words[:, 1]
    return (((np.uint64(1023) << np.uint64(52)) | bits).view(np.float64) - 1.0)[:n]


def _philox(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Random words [4, n] of 32 bits each from counters [4, n]."""
    c, (k0, k1) = counter, key
    for _ in range(10):
        first, second = c[0] * _MULTIPLIERS[0], c[2] * _MULTIPLIERS[1]
        high = [product >> np.uint64(32) for product in (second, first)]
        c = np.stack(
            [
                high[0] ^ c[1] ^ np.uint64(k0),
                second & _WORD,
                high[1] ^ c[3] ^ np.uint64(k1),
                first & _WORD,
            ]
        )
        k0, k1 = (k0 + _KEY_STEPS[0]) & 0xFFFFFFFF, (k1 + _KEY_STEPS[1]) & 0xFFFFFFFF
    return c
