"""A generated sample as a stream of batches, each tested against the same reference: an alarm where
a statistic exceeds the threshold that batches of the reference exceed at a chosen rate (monitoring
of detectors with kernel tests: arXiv:2303.05413).

What depends on the events alone is prepared for many batches at once: bandwidths, units and centres
are those of one half of the reference, and batches of the reference are made of the other half.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from amplify.errors import InputError
from amplify.estimators.statistics import Pooled, Statistic
from amplify.progress import Progress, silent
from amplify.tables import files
from amplify.types import Events

DEFAULT = ("mean_ks", "sliced_wasserstein", "gaussian_mmd")  # where nothing is named
_TAIL = 10  # batches of the reference beyond the threshold
_LEAST = 1000  # batches of the reference
_BLOCK = 100_000  # events that are read together
_BYTES = 1 << 26  # of differences at a time
_PER_BATCH = 4  # events of the reference for each of a batch, at least
MIN_BATCH = 10  # events


class Monitored(NamedTuple):
    """A stream in one statistic.

    Attributes:
        statistic: which one.
        values: of the batches, in the field's normalisation.
        p: share of the batches of the reference that are at least as far, (1 + k) / (N + 1).
        alarms: numbers of the batches beyond the threshold.
        threshold: in the field's normalisation.
        milliseconds: a batch, the reference prepared; without reading.
        seconds: for the threshold.
        experiments: N.
    """

    statistic: Statistic
    values: Float[np.ndarray, " batch"]
    p: Float[np.ndarray, " batch"]
    alarms: Int[np.ndarray, " alarm"]
    threshold: float
    milliseconds: float
    seconds: float
    experiments: int


def monitored(
    statistics: Sequence[Statistic],
    batches: Callable[[], Iterator[Events]],
    reference: Events,
    *,
    count: int,
    false_alarms: float = 1e-3,
    experiments: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Monitored]:
    """Tests each batch against the reference.

    The threshold is that of random parts of the reference as large as a batch, against the rest of
    it, on the scale of a batch against all of the reference: sqrt(1 / n_batch + 1 / n_reference).

    Args:
        statistics: not signed.
        batches: gives the events of each batch; called once for each statistic.
        reference: true events, in memory.
        count: number of batches.
        false_alarms: rate of alarms among batches like the reference.
        experiments: batches of the reference; default ten beyond the threshold, at least 1000.
        seed: of batches of the reference, directions, centres.
        progress: watches.

    Raises:
        InputError: a signed statistic, or a reference that is too small.
    """
    if experiments is None:
        experiments = max(_LEAST, math.ceil(_TAIL / false_alarms))
    check_streamable(statistics)
    return [
        _monitored(s, batches(), reference, count, false_alarms, experiments, seed, progress)
        for s in statistics
    ]


def check_streamable(statistics: Sequence[Statistic]) -> None:
    """Refuses statistics that have no zero.

    Raises:
        InputError: which one.
    """
    for statistic in statistics:
        if statistic.signed:
            expected = "distances, which are zero between equal samples"
            fix = f"name others, {', '.join(DEFAULT)} for example"
            raise InputError("--batches and --statistics", expected, statistic.name, fix)


def check_reference(reference: int, batch: float) -> None:
    """Refuses a reference that has no room for batches.

    Raises:
        InputError: it is too small, or batches are.
    """
    if batch < MIN_BATCH:
        fix = "make fewer batches"
        raise InputError("--batches", f"{MIN_BATCH} events each", f"{batch:.3g}", fix)
    if reference < _PER_BATCH * batch:
        expected = f"{_PER_BATCH} events for each of the {batch:.0f} of a batch"
        fix = "give a larger --holdout, or make more batches"
        raise InputError("--holdout", expected, str(reference), fix)


def batches_of(selection: files.Selection, count: int) -> Iterator[Events]:
    """The events of a sample in so many parts, in their order; several are read at once."""
    n = selection.table.n
    edges = [k * n // count for k in range(count + 1)]
    together = max(1, _BLOCK * count // n)
    for first in range(0, count, together):
        last = min(first + together, count)
        if selection.drop:  # rows are missing in what is read
            for k in range(first, last):
                yield files.load(selection, start=edges[k], stop=edges[k + 1])
            continue
        block = files.load(selection, start=edges[first], stop=edges[last])
        for k in range(first, last):
            yield block.take(slice(edges[k] - edges[first], edges[k + 1] - edges[first]))


def _monitored(
    statistic: Statistic,
    batches: Iterator[Events],
    reference: Events,
    count: int,
    false_alarms: float,
    experiments: int,
    seed: int,
    progress: Progress,
) -> Monitored:
    true = _prepared(reference, seed)
    m = true.n
    distance, scale, null = [], [], []
    tested, calibrated, done = 0.0, 0.0, 0
    with progress(statistic.title, total=count) as bar:
        for block in _blocks(batches, min(statistic.most, len(true.x))):
            start = time.perf_counter()
            pool, rows, sizes = _pool(block, true)
            distances = statistic.prepare(pool, seed)
            for some in _some(len(rows), len(pool.x)):
                differences = np.stack([_of_batch(true, *rows[k], len(pool.x)) for k in some])
                distance.append(np.asarray(distances(differences), np.float64))
            scale += [np.sqrt(1 / n + 1 / m) ** statistic.degree for n in sizes]
            middle = time.perf_counter()
            # null batches of each block in proportion to its own, as those of one threshold
            wanted = round(experiments * len(scale) / count) - done
            size = float(np.mean(sizes))
            null.append(_null(statistic, distances, true, len(pool.x), size, (done, wanted), seed))
            done += wanted
            tested, calibrated = (
                tested + middle - start,
                calibrated + time.perf_counter() - middle,
            )
            bar.advance(len(block))
    values = np.concatenate(distance)
    # on the scale of the noise, since batches may differ in size
    relative = values / np.array(scale)
    ordered = np.sort(np.concatenate(null))
    beyond = len(ordered) - np.searchsorted(ordered, relative * (1 - 1e-6))
    p = (1 + beyond) / (1 + len(ordered))
    rank = min(math.ceil((1 - false_alarms) * (len(ordered) + 1)), len(ordered)) - 1
    typical = pool._replace(n_gen=float(np.mean(sizes)))
    noise = np.sqrt(1 / typical.n_gen + 1 / m) ** statistic.degree
    return Monitored(
        statistic,
        np.array([statistic.quoted(float(d), typical) for d in values]),
        p,
        np.flatnonzero(relative > ordered[rank]),
        float(statistic.quoted(float(ordered[rank] * noise), typical)),
        1e3 * tested / len(values),
        calibrated,
        len(ordered),
    )


def _blocks(batches: Iterator[Events], most: int) -> Iterator[list[Events]]:
    """Batches with so many events together, or one."""
    block: list[Events] = []
    held = 0
    for batch in batches:
        if block and held + len(batch.x) > most:
            yield block
            block, held = [], 0
        block.append(batch)
        held += len(batch.x)
    if block:
        yield block


class _Reference(NamedTuple):
    """True events.

    Attributes:
        x: of them.
        share: of each.
        n: effective ones.
        is_fixed: half of them, from which centres, bandwidths and units are taken; batches of the
            reference are made of the others, since those of a stream have no centres in them.
    """

    x: np.ndarray
    share: np.ndarray
    n: float
    is_fixed: np.ndarray


def _prepared(reference: Events, seed: int) -> _Reference:
    share, n = _shares(reference)
    is_fixed = np.zeros(len(share), bool)
    is_fixed[np.random.default_rng([seed, 14]).permutation(len(share))[: len(share) // 2]] = True
    return _Reference(reference.x, share, n, is_fixed)


def _pool(
    block: Sequence[Events], true: _Reference
) -> tuple[Pooled, list[tuple[int, np.ndarray]], list[float]]:
    """The reference with events of several batches, where half of the reference alone has weights;
    of each batch its first row and the shares of its events, and effective sizes.
    """
    rows, sizes, first = [], [], 0
    for batch in block:
        shares, n = _shares(batch)
        rows.append((first, shares))
        sizes.append(n)
        first += len(shares)
    x = np.concatenate([*(batch.x for batch in block), true.x])
    fixed = true.share * true.is_fixed
    weight = np.concatenate([np.zeros(first), fixed / fixed.sum()])
    difference = np.concatenate([np.full(first, 1 / first), -true.share])
    return Pooled(x, weight, difference, float(np.mean(sizes)), true.n), rows, sizes


def _of_batch(true: _Reference, first: int, shares: np.ndarray, events: int) -> np.ndarray:
    difference = np.zeros(events)
    difference[first : first + len(shares)] = shares
    difference[events - len(true.x) :] = -true.share
    return difference


def _null(
    statistic: Statistic,
    distances: Callable[[np.ndarray], np.ndarray],
    true: _Reference,
    events: int,
    size: float,
    numbers: tuple[int, int],
    seed: int,
) -> np.ndarray:
    """Batches of the reference against the rest of it, on the scale of the noise."""
    start, count = numbers
    m, share, others = len(true.x), true.share, np.flatnonzero(~true.is_fixed)
    n = min(max(round(size * m / true.n), 1), len(others) - 1)
    scale = np.sqrt((1 / n + 1 / (m - n)) * m / true.n) ** statistic.degree
    found = [np.zeros(0)]
    for some in _some(count, events):
        differences = np.zeros((len(some), events))
        for row, k in zip(differences, some, strict=True):
            rng = np.random.default_rng([seed, 13, start + k])
            inside = np.zeros(m, bool)
            inside[rng.choice(others, n, replace=False, shuffle=False)] = True
            of_batch, rest = share[inside].sum(), share[~inside].sum()
            row[-m:] = np.where(inside, share / of_batch, -share / rest)
        found.append(np.asarray(distances(differences), np.float64) / scale)
    return np.concatenate(found)


def _some(count: int, events: int) -> Iterator[range]:
    """So many at a time as fit into memory."""
    size = max(1, _BYTES // (8 * events))
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def _shares(events: Events) -> tuple[np.ndarray, float]:
    if events.weight is None:
        return np.full(len(events.x), 1 / len(events.x)), float(len(events.x))
    weight = np.asarray(events.weight, np.float64)
    total = weight.sum()
    return weight / total, float(total**2 / (weight**2).sum())
