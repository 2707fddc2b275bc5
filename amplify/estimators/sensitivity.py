"""What a learner would have made of known distortions: with which efficiency it finds a smooth, a
medium and a narrow one of a given distance (docs/method, Differential amplification).

Generated events stand in for truth, reweighted by 1 + epsilon h(x). The result is a table, not a
correction: the distortion at hand may be none of them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from amplify.errors import InputError
from amplify.estimators.learned import GEN_PER_TRUE, Learn, LearnOfTrue, on_generated
from amplify.types import Events

_FEW = 30  # columns; of more, events are looked at in blocks
_BLOCK = 1 << 20  # numbers of a block
_SCALING = 1 << 25  # numbers that tell how wide many columns are

# which part of the events a distortion lives on; None tilts all of them
_SHAPES = {"smooth": None, "medium": 0.20, "narrow": 0.03}


class Sensitivity(NamedTuple):
    """Efficiency eta = D_learned / D of an injected distortion of a known distance.

    Attributes:
        shape: "smooth", "medium" or "narrow".
        distance: D, the mean over repetitions.
        efficiency: eta, the mean over repetitions.
        error: of that mean; nan for one repetition.
    """

    shape: str
    distance: float
    efficiency: float
    error: float


class _Thirds(NamedTuple):
    """Rows of the generated events that teach, that the pseudo-truth is drawn from, and that
    measure.
    """

    teach: slice
    pool: slice
    measure: slice


def sensitivities(
    learn: Learn,
    generated: Events,
    *,
    n_teach: int,
    distance: float,
    repetitions: int = 10,
    seed: int = 0,
) -> list[Sensitivity]:
    """What the learner would have made of known distortions of this distance: a smooth, a medium
    and a narrow one.

    Generated events stand in for truth: reweighted by 1 + epsilon h(x) they are a truth that is
    `distance` away. h is a tilt along a random direction (smooth), or one on the neighbourhood of a
    random event that holds 20 % (medium) or 3 % (narrow) of the events. It is a table, not a
    correction: the distortion at hand may be none of them (docs/method, Differential
    amplification).

    >>> from amplify.types import Events
    >>> def blind(x_gen, x_true, weight_gen=None, weight_true=None):
    ...     return lambda x: -np.ones(len(x))
    >>> generated = Events(np.random.default_rng(0).normal(size=(3000, 2)))
    >>> for row in sensitivities(blind, generated, n_teach=100, distance=0.1):
    ...     print(row.shape, round(row.distance, 1), round(abs(row.efficiency), 6))
    smooth 0.1 0.0
    medium 0.1 0.0
    narrow 0.1 0.0

    Args:
        learn: the learner.
        generated: events, at least 9 n_teach; a third teaches, a third is drawn from for the
            pseudo-truth, a third measures.
        n_teach: true events that teach.
        distance: D of the injected distortion.
        repetitions: distortions of each shape.
        seed: of the distortions.

    Raises:
        InputError: fewer than 9 n_teach generated events.
    """
    n = len(generated.x)
    third = n // 3
    if third < 3 * n_teach:
        expected = f"at least {9 * n_teach}, nine times those that teach"
        raise InputError("generated events", expected, str(n), "generate more")
    n_gen = min(max(GEN_PER_TRUE * n_teach, 20_000), third)
    thirds = _Thirds(slice(n_gen), slice(third, 2 * third), slice(2 * third, None))
    learn_true = on_generated(learn, generated.take(thirds.teach))
    standardised = _Standardised(generated.x)

    table = []
    for shape, content in _SHAPES.items():
        pairs = []
        for repetition in range(repetitions):
            rng = np.random.default_rng([seed, repetition])
            distortion = _distorted(standardised, content, distance, rng)
            pairs.append(_measured(learn_true, generated, thirds, distortion, n_teach, rng))
        table.append(_summarised(shape, pairs))
    return table


def _measured(
    learn_true: LearnOfTrue,
    generated: Events,
    thirds: _Thirds,
    distortion: Float[np.ndarray, " n"],
    n_teach: int,
    rng: np.random.Generator,
) -> tuple[np.floating, np.floating]:
    """(efficiency, distance) of one distortion: the learner sees n_teach events of it."""
    pool, measured = generated.take(thirds.pool), generated.take(thirds.measure)
    pseudo_truth = _drawn(pool, distortion[thirds.pool], n_teach, rng)
    summary = learn_true(Events(pseudo_truth))

    low = summary(measured.x) <= 0
    weight = np.ones(len(measured.x)) if measured.weight is None else measured.weight
    ratio = distortion[thirds.measure]
    share_true = weight * ratio / (weight @ ratio)
    share_gen = weight / weight.sum()
    learned_distance = (share_true - share_gen) @ low
    full_distance = _full_distance(weight, ratio)
    return learned_distance / full_distance, full_distance


def _full_distance(weight: Float[np.ndarray, " n"], ratio: Float[np.ndarray, " n"]) -> np.floating:
    """D = E_gen |p_true / p_gen - 1| / 2, for a ratio that is known up to its normalisation."""
    normalised = ratio / (weight @ ratio / weight.sum())
    # negative weights cancel in shares only
    size = np.abs(weight)
    return 0.5 * size @ np.abs(normalised - 1) / size.sum()


def _drawn(
    pool: Events, ratio: Float[np.ndarray, " n"], n: int, rng: np.random.Generator
) -> Float[np.ndarray, "n_teach dim"]:
    """N events of the pool with chances that make the distortion."""
    weight = 1.0 if pool.weight is None else np.maximum(pool.weight, 0.0)
    chance = ratio * weight
    return pool.x[rng.choice(len(chance), n, p=chance / chance.sum())]


def _summarised(shape: str, pairs: list[tuple[np.floating, np.floating]]) -> Sensitivity:
    """Means over the repetitions (efficiency, distance)."""
    efficiencies, distances = zip(*pairs, strict=True)
    repetitions, error = len(pairs), float("nan")
    if repetitions > 1:
        error = np.std(efficiencies, ddof=1) / np.sqrt(repetitions)
    means = float(np.mean(distances)), float(np.mean(efficiencies))
    return Sensitivity(shape, *means, float(error))


class _Standardised:
    """Events x [n, dim] in standard deviations of each column; never all of them at a time where
    columns are many.
    """

    def __init__(self, x: Float[np.ndarray, "n dim"]) -> None:
        many = x.shape[1] > _FEW
        some = x[: _SCALING // x.shape[1]] if many else x
        width = some.std(axis=0)
        self.x, self._centre = x, some.mean(axis=0)
        self._width = np.where(width > 0, width, 1.0).astype(width.dtype)
        self._rows = max(_BLOCK // x.shape[1], 1) if many else max(len(x), 1)

    def each(self, function: Callable[[np.ndarray], np.ndarray]) -> Float[np.ndarray, " n"]:
        """A function of some standardised events [rows, dim] -> [rows], for all of them."""
        blocks = []
        for start in range(0, len(self.x), self._rows):
            blocks.append(function(self.row(slice(start, start + self._rows))))
        return np.concatenate(blocks)

    def row(self, rows: Any) -> np.ndarray:
        """These events, standardised."""
        return (self.x[rows] - self._centre) / self._width


def _distorted(
    events: _Standardised,
    content: float | None,
    distance: float,
    rng: np.random.Generator,
) -> Float[np.ndarray, " n"]:
    """Weights of mean one of a truth that is `distance` away; weights cannot be negative, so a
    large distance is clipped.
    """
    n, dim = events.x.shape
    if content is None:
        direction = rng.normal(size=dim)
        h = events.each(lambda z: np.tanh(z @ direction / np.linalg.norm(direction)))
    else:
        around = events.row(rng.integers(n))
        apart = events.each(lambda z: ((z - around) ** 2).sum(axis=1))
        h = (apart <= np.quantile(apart, content)).astype(float)
    h = h - h.mean()
    epsilon = distance / (0.5 * np.abs(h).mean())
    return np.maximum(1 + epsilon * h, 0.0)
