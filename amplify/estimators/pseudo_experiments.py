"""Kolmogorov-Smirnov distances of samples without a difference, by chance alone.

Which of the n + m ordered events belong to the first sample is a random choice of n, so nothing
needs to be drawn from a density, nor sorted. A choice is drawn as random bits, of which some are
turned until n are set; then the walk n m (F_x - F_y) is followed eight bits at a time, with a table
of the highest and the lowest place within each byte.
"""

from concurrent.futures import ThreadPoolExecutor
from math import gcd, lcm
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer, UInt8

from amplify.devices import usable_cores

_BATCH = 50  # experiments of one random stream
_RESOLUTION = 8  # bits of the probability of a bit; what is missing is turned
_MORE = 1.1  # draws for each bit to be turned, over those that hit one on average
_NUMBERS = 1 << 18  # bits at once: what is made of them stays in the cache


def null_distances(
    n: int, m: int, experiments: int, *, seed: int = 0
) -> Float[np.ndarray, " experiment"]:
    """D of pseudo-experiments without a difference, n events against m, for every continuous
    summary, in all cores. On accelerators: `null_distances_on_devices`.

    >>> distances = null_distances(1000, 1000, 400)
    >>> bool(abs(distances.mean() / (0.8687 * (2 / 1000) ** 0.5) - 1) < 0.05)  # K1 / sqrt(n_eff)
    True

    Args:
        n: events of one sample.
        m: of the other.
        experiments: how many.
        seed: of the choices.
    """
    table = _Table.of(n, m)

    def batch(start: int) -> np.ndarray:
        rng = np.random.default_rng([seed, start])
        left, found = min(_BATCH, experiments - start), []
        most = max(_NUMBERS // (n + m), 1)
        while left:
            choices = _choices(rng, min(left, most), n, n + m)
            found.append(table.distances(choices, n + m))
            left -= len(choices)
        return np.concatenate(found)

    with ThreadPoolExecutor(usable_cores()) as pool:  # NumPy lets other threads work meanwhile
        parts = list(pool.map(batch, range(0, experiments, _BATCH)))
    return np.concatenate([np.zeros(0), *parts])


class _Table(NamedTuple):
    """The walk through eight events. A step is m / g up at an event of the first sample, n / g down
    at one of the other, with their greatest common divisor g.

    Attributes:
        up: a step at an event of the first sample.
        down: at one of the other.
        high: the highest place after the first k events of a byte [k - 1, byte].
        low: the lowest.
    """

    up: int
    down: int
    high: Integer[np.ndarray, "8 256"]
    low: Integer[np.ndarray, "8 256"]

    @classmethod
    def of(cls, n: int, m: int) -> "_Table":
        """That of these sizes."""
        up, down = m // gcd(n, m), n // gcd(n, m)
        dtype = np.int32 if lcm(n, m) + 8 * (up + down) < 1 << 31 else np.int64
        bits = np.arange(256) >> np.arange(8)[:, None] & 1
        places = np.cumsum(np.where(bits, up, -down), axis=0, dtype=dtype)
        return cls(up, down, np.maximum.accumulate(places), np.minimum.accumulate(places))

    def distances(
        self, choices: UInt8[np.ndarray, "row byte"], of: int
    ) -> Float[np.ndarray, " row"]:
        """Largest distance from zero of each walk through so many events, as D."""
        steps = np.bitwise_count(choices).astype(self.high.dtype)
        steps *= self.up + self.down
        steps -= 8 * self.down
        before = np.cumsum(steps, axis=1, dtype=steps.dtype)
        before -= steps
        end, last = (of - 1) % 8, choices[:, -1]  # of the last byte not all are events
        at_end = before[:, -1]
        high, low = at_end + self.high[end][last], at_end + self.low[end][last]
        if choices.shape[1] > 1:
            whole, before = (np.ascontiguousarray(a[:, :-1]) for a in (choices, before))
            # only where a walk is nearly as far as it comes the table is needed
            far = before >= before.max(axis=1, keepdims=True) - 8 * self.up
            high = np.maximum(high, _furthest(far, before, self.high[7], whole, np.maximum))
            far = before <= before.min(axis=1, keepdims=True) + 8 * self.down
            low = np.minimum(low, _furthest(far, before, self.low[7], whole, np.minimum))
        events = of // (self.up + self.down)
        return np.maximum(high, -low) / (self.up * self.down * float(events))


def _furthest(far: Any, before: Any, table: Any, choices: Any, extreme: Any) -> np.ndarray:
    """Extreme of each row [row] where the walk is far; it is so at least once in a row."""
    places = np.flatnonzero(far)
    starts = np.searchsorted(places, far.shape[1] * np.arange(len(far)))
    return extreme.reduceat(before.ravel()[places] + table[choices.ravel()[places]], starts)


def _choices(rng: Any, rows: int, n: int, of: int) -> UInt8[np.ndarray, "row byte"]:
    """Of so many events n, each choice as likely: a bit for each event.

    Bits that are set independently make each choice of the same size as likely, and so do ones that
    are turned at random, until n are set.
    """
    chosen = _independent(rng, rows, n / of, of)
    excess = np.bitwise_count(chosen).sum(axis=1, dtype=np.int64) - n
    while excess.any():
        to_clear, missing = excess > 0, np.abs(excess)
        share = np.minimum(n + np.maximum(excess, 0), of - n - np.minimum(excess, 0)) / of
        draws = int((_MORE * missing / np.maximum(share, 1 / of)).max()) + 8
        place = rng.integers(0, of, (rows, draws))
        bits = np.take_along_axis(chosen, place >> 3, axis=1) >> (place & 7) & 1
        hits = bits == to_clear[:, None]
        hits &= np.cumsum(hits, axis=1) <= missing[:, None]
        which = np.sort((place + of * np.arange(rows)[:, None])[hits])
        which = which[np.diff(which, prepend=-1) > 0]  # what is hit twice is turned once
        row, place = np.divmod(which, of)
        np.bitwise_xor.at(chosen, (row, place >> 3), np.left_shift(1, place & 7).astype(np.uint8))
        turned = np.bincount(row, minlength=rows)
        excess = np.where(to_clear, excess - turned, excess + turned)
    return chosen


def _independent(rng: Any, rows: int, share: float, of: int) -> UInt8[np.ndarray, "row byte"]:
    """Bits that are set with about this probability: random ones, joined by "or" where a binary
    digit of it is one, by "and" where it is zero, from the last digit on.
    """
    size = -(-of // 8)
    digits = round(share * (1 << _RESOLUTION))
    chosen = np.full((rows, size), 255 if digits >> _RESOLUTION else 0, np.uint8)
    if 0 < digits < 1 << _RESOLUTION:
        zeros = (digits & -digits).bit_length() - 1  # at the end they change nothing
        for place in range(zeros, _RESOLUTION):
            drawn = rng.integers(0, 1 << 64, (rows, -(-size // 8)), np.uint64)
            drawn = drawn.view(np.uint8)[:, :size]
            chosen = chosen | drawn if digits >> place & 1 else chosen & drawn
    beyond = 8 * size - of
    chosen[:, -1] &= 255 >> beyond  # no events
    return chosen
