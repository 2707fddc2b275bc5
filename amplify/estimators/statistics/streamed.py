"""A generated sample of any size against a holdout in memory, by what adds up.

Events come in chunks, from a file or a generator, or lie on several devices. Between the sorted
values of the holdout their number decides every Kolmogorov-Smirnov distance, exactly, and their
number and sum the Wasserstein distance, up to a bound that is said. States of chunks add up, also
over devices. Events are not kept, so that nothing can be relabelled: p-values and n_equiv need a
subsample. Histograms have bins of equal shares of the holdout, not of the pool.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from amplify.errors import InputError
from amplify.estimators.kolmogorov import count_between
from amplify.estimators.statistics import on_lines
from amplify.estimators.statistics.columns import each, root_of
from amplify.estimators.statistics.histograms import chi_squared_of, equal_bins, separation_of
from amplify.estimators.statistics.moments import Moments, streamed_frechet
from amplify.estimators.statistics.slices import directions, projected
from amplify.namespace import namespace

_OF_COLUMNS = ("mean_ks", "max_ks", "mean_wasserstein")
_SLICED = ("sliced_ks", "sliced_wasserstein")
_HISTOGRAMS = ("separation", "chi_squared")
STREAMED = (*_OF_COLUMNS, *_SLICED, *_HISTOGRAMS, "frechet")
"""Names of the statistics that stream."""


class State(NamedTuple):
    """What is known of the events so far; what was not asked for has no entries.

    Attributes:
        below: weight below each value of the holdout [line, value].
        up_to: the same at or below it.
        sums: of weight times position at or below it, and of all [line, value + 1].
        bins: weight in bins of columns [dim, bin].
        moments: of each column, sums of |w|, |w| x and |w| x^2 [3, dim].
        total: of the weights.
        square: of their squares.
        products: sum of w (1, x) (1, x)^T [dim + 1, dim + 1].
    """

    below: Any
    up_to: Any
    sums: Any
    bins: Any
    moments: Any
    total: Any
    square: Any
    products: Any

    def plus(self, other: "State") -> "State":
        """The state of both together."""
        return State(*(a + b for a, b in zip(self, other, strict=True)))


class Reference(NamedTuple):
    """A holdout, ready to be compared with streams. Positions are relative to its mean.

    Attributes:
        names: of the statistics.
        centre: its mean [dim].
        columns: how many columns are compared, all or none.
        directions: unit vectors, or none [direction, dim].
        grid: its values along each line, columns and directions, sorted [line, value].
        areas: whether a Wasserstein distance is asked for.
        edges: inner edges of the bins of each column [dim, edge], or none.
        own: its own state.
        events: the holdout itself for the Frechet distance, or none [event, dim].
        weight: its event weights, or None.
    """

    names: tuple[str, ...]
    centre: np.ndarray
    columns: int
    directions: np.ndarray
    grid: np.ndarray
    areas: bool
    edges: np.ndarray
    own: State | None
    events: np.ndarray
    weight: np.ndarray | None


class Streamed(NamedTuple):
    """A statistic of all events.

    Attributes:
        distance: as `Statistic.prepare` gives it.
        error: how far off it may be, not by chance: zero but for Wasserstein distances.
        quoted: the number that the field quotes.
    """

    distance: float
    error: float
    quoted: float


def reference(
    y: Float[np.ndarray, "m dim"],
    weight: Float[np.ndarray, " m"] | None = None,
    *,
    names: Sequence[str] = STREAMED,
    seed: int = 0,
) -> Reference:
    """Sorts the holdout along columns and directions; it is held once for every line.

    Args:
        y: events of the holdout.
        weight: event weights, or None; not negative ones for a Wasserstein distance.
        names: of statistics, some of STREAMED.
        seed: of the directions.

    Raises:
        InputError: a statistic that does not stream.
    """
    for name in names:
        if name not in STREAMED:
            raise InputError("statistics", "one that streams", name, f"use {', '.join(STREAMED)}")
    asked, dim = set(names), y.shape[1]
    columns = dim if asked & set(_OF_COLUMNS) else 0
    v = directions(dim, seed=seed) if asked & set(_SLICED) else np.zeros((0, dim))
    centre = y.mean(axis=0, dtype=np.float64)
    relative = y - centre
    edges = np.zeros((0, 0))
    if asked & set(_HISTOGRAMS):
        edges = equal_bins(relative, np.ones(len(y)) if weight is None else weight)
    areas = bool(asked & {"mean_wasserstein", "sliced_wasserstein"})
    grid = np.sort(_along(np, columns, v, relative), axis=1)
    events = relative if "frechet" in asked else relative[:0]
    made = Reference(tuple(names), centre, columns, v, grid, areas, edges, None, events, weight)
    return made._replace(own=state(made, y, weight))


def state(
    reference: Reference, x: Float[Any, "n dim"], weight: Float[Any, " n"] | None = None
) -> State:
    """The state of a chunk of events; of JAX arrays also under jit and shard_map."""
    xp = namespace(x, weight)
    if xp is np:
        return _on_host(reference, np.asarray(x), weight)
    dtype = xp.result_type(float)
    x = xp.asarray(x, dtype) - xp.asarray(reference.centre, dtype)[None]
    w = xp.ones(len(x), dtype) if weight is None else xp.asarray(weight, dtype)
    grid = xp.asarray(reference.grid, dtype)
    values = _along(xp, reference.columns, reference.directions, x)

    def counted(grid: Any, t: Any) -> tuple[Any, ...]:
        counts = count_between(grid, t, weight)
        sums = _sums(xp, grid, t, weight) if reference.areas else grid[:0]
        return counts.below, counts.up_to, sums

    nothing = xp.zeros((0, 0))
    below, up_to, sums = each(xp, counted, grid, values) if len(grid) else (nothing,) * 3
    edges = xp.asarray(reference.edges, dtype)
    bins = each(xp, lambda e, t: _binned(xp, e, t, w), edges, x.T) if len(edges) else nothing
    size = xp.abs(w)
    moments = xp.stack([size @ x**power for power in range(3)])
    products = nothing
    if len(reference.events):
        with_one = xp.concatenate([xp.ones((len(x), 1), dtype), x], axis=1)
        products = (w[:, None] * with_one).T @ with_one
    return State(below, up_to, sums, bins, moments, w.sum(), (w**2).sum(), products)


def _on_host(reference: Reference, x: np.ndarray, weight: Any) -> State:
    """The same of NumPy's arrays, column by column."""
    w = None if weight is None else np.asarray(weight, np.float64)
    relative = x.astype(np.float64) - reference.centre
    nothing = np.zeros((0, 0))
    columns: list[on_lines.Sorted] = []
    if reference.columns or len(reference.edges):
        columns = [
            on_lines.sorted_line(values, w, centre)
            for values, centre in zip(x.T, reference.centre, strict=True)
        ]
    projections = projected(np, reference.directions, relative)
    lines = columns[: reference.columns] + [on_lines.sorted_line(p, w) for p in projections]
    pairs = zip(reference.grid, lines, strict=True)
    found = [on_lines.counted(grid, line, areas=reference.areas) for grid, line in pairs]
    below, up_to, sums = (np.stack(p) for p in zip(*found, strict=True)) if found else [nothing] * 3
    of_columns = zip(reference.edges, columns, strict=False)
    bins = [on_lines.in_bins(edges, line) for edges, line in of_columns]
    return State(
        below,
        up_to,
        sums,
        np.stack(bins) if bins else nothing,
        on_lines.moments(relative, w),
        float(len(x)) if w is None else w.sum(),
        float(len(x)) if w is None else w @ w,
        on_lines.products(relative, w) if len(reference.events) else nothing,
    )


def compared(reference: Reference, state: State) -> dict[str, Streamed]:
    """Every statistic of the reference, of all events in the state."""
    own = reference.own
    assert own is not None
    n, m = _effective(state), _effective(own)
    root, dim = float(root_of(n, m)), len(reference.centre)
    columns, sliced = slice(reference.columns), slice(reference.columns, None)
    nothing = np.zeros(len(reference.grid))
    ks, unit = _ks(state, own), _units(state, own)
    low, high = _areas(reference.grid, state, own) if reference.areas else (nothing, nothing)
    area, error = (low + high) / 2, (high - low) / 2
    p, q = (np.asarray(s.bins) / float(s.total) for s in (state, own))
    found: dict[str, Callable[[], Streamed]] = {
        "mean_ks": lambda: _exact(ks[columns].mean(), root),
        "max_ks": lambda: _exact(ks[columns].max(), root),
        "sliced_ks": lambda: _exact(ks[sliced].mean(), root),
        "mean_wasserstein": lambda: _bounded(area[columns] / unit, error[columns] / unit, 1.0),
        "sliced_wasserstein": lambda: _bounded(area[sliced], error[sliced], root / dim**0.5),
        "separation": lambda: _exact(separation_of(np, p, q).mean(), 1.0),
        "chi_squared": lambda: _exact(
            chi_squared_of(np, p - q, (n * p + m * q) / (n + m)).mean(), root**2
        ),
        "frechet": lambda: _frechet(reference, state),
    }
    return {name: found[name]() for name in reference.names}


def _exact(distance: Any, factor: float) -> Streamed:
    return Streamed(float(distance), 0.0, factor * float(distance))


def _bounded(areas: np.ndarray, errors: np.ndarray, factor: float) -> Streamed:
    return Streamed(float(areas.mean()), float(errors.mean()), factor * float(areas.mean()))


def _frechet(reference: Reference, state: State) -> Streamed:
    own = reference.own
    assert own is not None
    distance, quoted = streamed_frechet(
        _moments(state), _moments(own), reference.events, reference.weight
    )
    return Streamed(distance, 0.0, quoted)


def _moments(state: State) -> Moments:
    product = np.asarray(state.products, np.float64)
    first, second = product[0, 1:], product[1:, 1:]
    return Moments(product[0, 0], float(state.square), first, second, np.zeros(len(first)))


def _along(xp: Any, columns: int, v: np.ndarray, x: Any) -> Any:
    """Positions of events in columns and along directions: [line, event]."""
    return xp.concatenate([x.T[:columns], projected(xp, v, x)])


def _sums(xp: Any, grid: Any, t: Any, w: Any) -> Any:
    """Of weight times position: at or below each value of the grid, and of all."""
    if w is None:
        terms = t = xp.sort(t)
    else:
        order = xp.argsort(t)
        t, terms = t[order], (w * t)[order]
    cumulative = xp.cumsum(xp.append(xp.zeros(1, grid.dtype), terms))
    return xp.append(cumulative[xp.searchsorted(t, grid, side="right")], cumulative[-1])


def _binned(xp: Any, edges: Any, t: Any, w: Any) -> Any:
    end = xp.full(1, xp.inf, edges.dtype)
    return xp.histogram(t, xp.concatenate([-end, edges, end]), weights=w)[0]


def _ks(state: State, own: State) -> np.ndarray:
    """Of each line."""
    sides = [
        np.abs(np.asarray(a) / float(state.total) - np.asarray(b) / float(own.total))
        for a, b in ((state.below, own.below), (state.up_to, own.up_to))
    ]
    return np.maximum(*sides).max(axis=1, initial=0.0)


def _areas(grid: np.ndarray, state: State, own: State) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest area between the distribution functions, of each line.

    Between two values of the holdout its F is a constant c; that of the events rises from a to b,
    with a known integral. Where c is not between a and b, so is the area. Else the least is the
    integral of the difference, and the largest that of one step from a to b.
    """
    total = float(state.total)
    below, up_to, sums = (np.asarray(s, np.float64) / total for s in state[:3])
    c = (own.up_to / own.total)[:, :-1]
    gap = np.diff(grid, axis=1)
    a, b = up_to[:, :-1], below[:, 1:]
    rising = grid[:, 1:] * np.diff(up_to, axis=1) - np.diff(sums[:, :-1], axis=1)
    integral = (a - c) * gap + rising
    least = np.abs(integral)
    crossed = (a < c) & (c < b)
    rise = np.where(crossed, b - a, 1.0)
    step = ((b - c) * gap - integral) / rise
    largest = np.where(crossed, (c - a) * step + (b - c) * (gap - step), least)
    outside = _outside(grid, state, total)
    return least.sum(axis=1) + outside, np.maximum(largest, least).sum(axis=1) + outside


def _outside(grid: np.ndarray, state: State, total: float) -> np.ndarray:
    """Area below the first value of the holdout and above its last one, of each line."""
    sums, up_to = (np.asarray(s, np.float64) / total for s in (state.sums, state.up_to))
    below = grid[:, 0] * up_to[:, 0] - sums[:, 0]
    above = sums[:, -1] - sums[:, -2] - grid[:, -1] * (1 - up_to[:, -1])
    return below + above


def _effective(state: State) -> float:
    return float(state.total) ** 2 / float(state.square)


def _units(state: State, own: State) -> np.ndarray:
    """As `columns.units` of the pool."""
    n, m = (_effective(s) / float(s.total) for s in (state, own))
    size, first, second = n * np.asarray(state.moments) + m * np.asarray(own.moments)
    spread = np.sqrt(np.maximum(second / size - (first / size) ** 2, 0.0))
    return np.where(spread > 0, spread, 1.0)
