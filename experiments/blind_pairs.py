"""The learned-ratio problems of `experiments.blind`: two angles that are correlated, and columns of
which one has too long a tail, without and with weights; distances in closed form.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from amplify.types import Events
from experiments.blind_families import NEGATIVE


class Pair(NamedTuple):
    """Samplers (rng, n) -> Events of generator and truth, and their distance D_inf."""

    generate: Callable[[np.random.Generator, int], Events]
    true: Callable[[np.random.Generator, int], Events]
    distance: float


def _cosine(rng: np.random.Generator, n: int, contrast: float) -> np.ndarray:
    """Angles [n] with the density (1 + contrast cos a) / 2 pi."""
    a = rng.uniform(0, 2 * np.pi, n)
    opposite = rng.random(n) > (1 + contrast * np.cos(a)) / 2
    return a + np.pi * opposite


def torus(rng: np.random.Generator, n: int, contrast: float) -> Events:
    """Two angles with the density (1 + contrast cos(a - b)) / (2 pi)^2."""
    a, apart = rng.uniform(0, 2 * np.pi, n), _cosine(rng, n, contrast)
    return Events(np.stack([a, a - apart], axis=1) % (2 * np.pi))


def torus_weighted(rng: np.random.Generator, n: int, contrast: float) -> Events:
    """The same by weights of .23 to 8.8, of events that crowd where each angle is near 0."""
    tilt = 0.6
    x = np.stack([_cosine(rng, n, tilt), _cosine(rng, n, tilt)], axis=1) % (2 * np.pi)
    drawn = (1 + tilt * np.cos(x)).prod(axis=1)
    return Events(x, (1 + contrast * np.cos(x[:, 0] - x[:, 1])) / drawn)


TAIL = 0.4  # of the events


def tail(rng: np.random.Generator, n: int, stretch: float) -> Events:
    """An exponential whose tail is `stretch` times too long, and two columns that depend on it."""
    first, cut = rng.exponential(size=n), -np.log(TAIL)
    first = np.where(first > cut, cut + stretch * (first - cut), first)
    score, noise = -ndtri(np.exp(-first)), rng.normal(size=(2, n))
    second, third = np.exp(0.2 * (score + noise[0])), 0.5 * np.abs(score) + noise[1]
    return Events(np.stack([first, second, third], axis=1))


def tail_signed(rng: np.random.Generator, n: int, stretch: float) -> Events:
    """The same by signed weights: others, many of which lie where no events are, come twice, with 1
    and with -1.
    """
    x, sort = tail(rng, n, stretch).x, rng.random(n)
    others, noise = sort < 2 * NEGATIVE, rng.normal(size=(2, n))
    far = np.stack([2 * rng.exponential(size=n), np.exp(0.5 * noise[0]), 1.5 * noise[1]], axis=1)
    return Events(np.where(others[:, None], far, x), np.where(sort < NEGATIVE, -1.0, 1.0))


def tail_signed_inside(rng: np.random.Generator, n: int, stretch: float) -> Events:
    """The same with others that lie where events are, of a longer tail: no place is left without
    events. Added when the result of `tail_signed` was known.
    """
    sort = rng.random(n)
    others = (sort < 2 * NEGATIVE)[:, None]
    x = np.where(others, tail(rng, n, 2 * stretch).x, tail(rng, n, stretch).x)
    return Events(x, np.where(sort < NEGATIVE, -1.0, 1.0))


def _pair(draw: Callable[..., Events], of_gen: float, of_true: float, distance: float) -> Pair:
    return Pair(lambda rng, n: draw(rng, n, of_gen), lambda rng, n: draw(rng, n, of_true), distance)


def stretched(factor: float) -> float:
    """Total variation distance of exponentials with means 1 and factor > 1: where they cross."""
    cross = np.log(factor) / (1 - 1 / factor)
    return float(np.exp(-cross / factor) - np.exp(-cross))


# mean of |cos| / 2 is 1 / pi; what depends on the tail does so alike in truth and generator
_TORUS, _TAIL = (0.4, 0.6, 0.2 / np.pi), (1.5, 1.0, TAIL * stretched(1.5))
PAIRS = {"torus": _pair(torus, *_TORUS), "tail": _pair(tail, *_TAIL)}
PAIRS_WEIGHTED = {
    "torus, importance": _pair(torus_weighted, *_TORUS),
    "tail, signed": _pair(tail_signed, *_TAIL),
    "tail, signed inside": _pair(tail_signed_inside, *_TAIL),
}
