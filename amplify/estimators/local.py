"""Where do two samples differ? The boxes with the largest deviations, after the look-elsewhere
correction.

All boxes are compared with the same relabellings of the pooled events. The largest deviation that a
relabelling has in any box is what chance gives somewhere; boxes whose deviation is significant are
then left out for those that follow (step-down maxT of Westfall and Young, 1993), and the rate of
wrong boxes in the whole list is controlled. Where columns are too many for all boxes, a learned
ratio says which of them to look at, and the events that taught it are not tested.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from amplify.estimators.boxes import (
    Boxes,
    are_few,
    candidate_boxes,
    chosen_subsets,
    subsets_of,
)
from amplify.estimators.differences import Part, parts
from amplify.estimators.statistics import Pooled, pooled

Look = Callable[[Pooled, Float[np.ndarray, "n dim"]], Float[np.ndarray, " n"]]
"""A pool of events, and events, to a learned ratio or witness function at these."""

MOST = 50_000
"""Events of each sample that are looked at."""

_TEACHING = 1 / 3  # of the events, where a ratio is learned
_MOST_TEACHING = 10_000
_LEAST = 10.0  # events of the smaller sample that chance puts into a box
_BATCH = 64  # relabellings at once
_SIMPLER = 0.95  # of the largest deviation, which a box of fewer columns may have instead


class Box(NamedTuple):
    """A place where the samples differ.

    Attributes:
        columns: in which it is a box.
        low: ends of its intervals, infinite where it is open.
        high: the other ends.
        ratio: of the share of generated events in it to that of true ones; infinite without any.
        error: one standard deviation of it. The boxes that are named are those where a fluctuation
            helped, so it is some way off on the far side.
        z: deviation in standard deviations at this place, negative for too few generated events.
        p: probability that chance makes such a deviation anywhere.
        share: of the true events in it.
    """

    columns: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    ratio: float
    error: float
    z: float
    p: float
    share: float


class LocalTest(NamedTuple):
    """What was found.

    Attributes:
        boxes: with significant deviations, the largest first; of those that overlap one.
        p: of the largest deviation anywhere.
        looked_at: boxes that were compared.
        subsets: sets of columns that these are in.
        n_gen: generated events that were compared.
        n_holdout: true events that were compared.
        taught: events that said which columns to look at, and were not compared.
    """

    boxes: tuple[Box, ...]
    p: float
    looked_at: int
    subsets: tuple[tuple[int, ...], ...]
    n_gen: int
    n_holdout: int
    taught: int


def local_test(
    generated: Float[np.ndarray, "n dim"],
    holdout: Float[np.ndarray, "m dim"],
    *,
    weight_gen: Float[np.ndarray, " n"] | None = None,
    weight_holdout: Float[np.ndarray, " m"] | None = None,
    looks: Sequence[Look] = (),
    permutations: int = 499,
    level: float = 0.05,
    most: int = 5,
    seed: int = 0,
) -> LocalTest:
    """The places where generated and true events differ most, in boxes of one to three columns.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(2, 4000, 2))
    >>> x[:300] = rng.uniform(1, 1.5, (300, 2))
    >>> (box,) = local_test(x, y, most=1).boxes
    >>> box.columns, bool(box.ratio > 1.5), box.p
    ((0, 1), True, 0.002)

    Args:
        generated: generated events.
        holdout: true events.
        weight_gen: event weights, or None.
        weight_holdout: the same of the holdout.
        looks: what says, beside the events in cells of all columns, pairs and triples, in which of
            them to look, where there are more than six columns.
        permutations: relabellings; the smallest p is 1 / (1 + permutations).
        level: of the probability that any box in the list is there by chance.
        most: boxes in the list.
        seed: of relabellings, and of the events that are looked at.
    """
    samples = [(generated, weight_gen), (holdout, weight_holdout)]
    subsets, taught = subsets_of(generated.shape[1]), 0
    if not are_few(generated.shape[1]):
        samples, subsets, taught = _taught(samples, looks, seed)
    (x, weight_x), (y, weight_y) = samples
    part = parts(x, y, weight_x, weight_y, {MOST}, seed)[MOST]
    boxes = _large_enough(candidate_boxes(part.pool.x, part.pool.weight, subsets), part.pool)
    numbers = part.n_first, len(part.pool.x) - part.n_first
    if not len(boxes.columns):
        return LocalTest((), 1.0, 0, tuple(subsets), *numbers, taught)
    sums = _sums(boxes, part, permutations)
    # the deviation of an assignment of labels counts as much as that of any other
    unit = sums.std(axis=0)
    unit = np.where(unit > 1e-9 * unit.max(), unit, np.inf)
    z = sums / unit
    p = step_down(np.abs(z))
    level_of_z = np.quantile(np.abs(z).max(axis=1), 1 - level, method="higher")
    named = _named(boxes, part, unit, z[0], p, level, level_of_z, most)
    return LocalTest(tuple(named), float(p.min()), len(p), tuple(subsets), *numbers, taught)


def step_down(size: Float[np.ndarray, "assignment box"]) -> Float[np.ndarray, " box"]:
    """Probability of each deviation of the first assignment of labels, after look-elsewhere: the
    share of assignments whose largest deviation in it, and in boxes that deviate less, is as large
    (Westfall and Young, 1993).

    >>> step_down(np.array([[3.0, 1.0], [0.5, 2.0], [0.2, 0.1], [0.3, 0.2]])).tolist()
    [0.25, 0.5]
    """
    order = np.argsort(-size[0], kind="stable")
    ordered = size[:, order]
    largest = np.maximum.accumulate(ordered[:, ::-1], axis=1)[:, ::-1]
    at_least = (largest >= ordered[0] * (1 - 1e-9)).mean(axis=0)
    p = np.empty(len(order))
    p[order] = np.maximum.accumulate(at_least)
    return p


def _taught(
    samples: list[tuple[np.ndarray, np.ndarray | None]], looks: Sequence[Look], seed: int
) -> tuple[list[tuple[np.ndarray, np.ndarray | None]], list[tuple[int, ...]], int]:
    """What is left of the samples, and the columns in which to look."""
    teaching, tested = [], []
    for k, (x, weight) in enumerate(samples):
        order = np.random.default_rng([seed, k, 1]).permutation(len(x))
        n = min(int(_TEACHING * len(x)), _MOST_TEACHING)
        for rows, kept in ((order[:n], teaching), (order[n:], tested)):
            kept.append((x[rows], None if weight is None else weight[rows]))
    (x, weight_x), (y, weight_y) = teaching
    pool = pooled(x, y, weight_x, weight_y)
    ratios = [np.asarray(look(pool, pool.x), np.float64) for look in looks]
    return tested, chosen_subsets(pool.x, np.stack([pool.difference, *ratios])), len(pool.x)


def _large_enough(boxes: Boxes, pool: Pooled) -> Boxes:
    """Those that chance gives some events of both samples, and leaves some."""
    share = boxes.sums(np.abs(pool.weight)[None])[0] / np.abs(pool.weight).sum()
    expected = np.minimum(share, 1 - share) * min(pool.n_gen, pool.n_holdout)
    return boxes.take(np.flatnonzero(expected >= _LEAST))


def _sums(boxes: Boxes, part: Part, permutations: int) -> np.ndarray:
    """Differences of the shares in each box [assignment, box], the observed ones first."""
    found = [boxes.sums(part.pool.difference[None])]
    for start in range(0, permutations, _BATCH):
        differences = part.relabelled(start, min(start + _BATCH, permutations))
        found.append(boxes.sums(differences))
    return np.concatenate(found)


def _named(
    boxes: Boxes,
    part: Part,
    unit: np.ndarray,
    z: np.ndarray,
    p: np.ndarray,
    level: float,
    level_of_z: float,
    most: int,
) -> list[Box]:
    """Significant boxes that are still significant when those named before have been put right,
    and that are not mostly one of these.
    """
    pool = part.pool
    is_gen = np.arange(len(pool.x)) < part.n_first
    of_gen = np.where(is_gen, pool.difference, 0.0)
    of_true = of_gen - pool.difference
    rest, found = of_gen.copy(), []
    size_of_all = np.abs(of_gen) + np.abs(of_true)
    said = np.zeros(len(z), bool)
    columns = np.array([len(c) for c in boxes.columns])
    left = z.copy()
    while len(found) < most:
        may = (p <= level) & (np.abs(left) >= level_of_z) & (np.sign(left) == np.sign(z)) & ~said
        if not may.any():
            break
        size = np.where(may, np.abs(left), 0.0)
        near = size >= _SIMPLER * size.max()
        # fewer columns say the same in simpler words
        near &= columns == columns[near].min()
        k = int(np.argmax(np.where(near, size, 0.0)))
        inside = boxes.inside(pool.x, k)
        found.append(_box(boxes, k, inside, of_gen, of_true, float(z[k]), float(p[k])))
        there, wanted = rest[inside].sum(), max(of_true[inside].sum(), 0.0)
        rest[inside] = rest[inside] * wanted / there if there > 0 else of_true[inside]
        if not rest.sum() > 0:  # all generated events were where no true ones are
            break
        rest /= rest.sum()
        left = boxes.sums((rest - of_true)[None])[0] / unit
        said |= _mostly(boxes, k, inside, size_of_all)
    return found


def _mostly(
    boxes: Boxes, k: int, inside: np.ndarray, weight: np.ndarray
) -> Bool[np.ndarray, " box"]:
    """Boxes of the same columns that share more than half of their events with a box, or more than
    half of its own; that box among them.
    """
    shared, each = boxes.sums(np.stack([weight * inside, weight]))
    same = np.array([columns == boxes.columns[k] for columns in boxes.columns])
    mostly = same & (shared > 0.5 * np.minimum(each, each[k]))
    mostly[k] = True
    return mostly


def _box(
    boxes: Boxes,
    k: int,
    inside: np.ndarray,
    of_gen: np.ndarray,
    of_true: np.ndarray,
    z: float,
    p: float,
) -> Box:
    shares, variance = [], 0.0
    for measure in (of_gen, of_true):
        share = float(measure[inside].sum())
        square = float((measure[inside] ** 2).sum())
        shares.append(share)
        variance += square / share**2 * max(1 - share, 0.0) if share > 0 else np.inf
    ratio = shares[0] / shares[1] if shares[1] > 0 else np.inf
    error = ratio * np.sqrt(variance) if 0 < ratio < np.inf else np.nan
    ends = boxes.columns[k], boxes.low[k], boxes.high[k]
    return Box(*ends, float(ratio), float(error), z, p, shares[1])
