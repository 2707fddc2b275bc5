"""Sums of a sample in regions at each condition, stratum by stratum, and the fractions that follow
(docs/method, Conditional generators).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.analysis.conditions import Condition
from amplify.analysis.default_regions import Binning, Layout, make_layout
from amplify.analysis.panels import Panel, panel_edges
from amplify.tables import files
from amplify.types import Events

_NOWHERE = rg.Regions(lambda x: np.zeros((len(x), 0), bool), ())
_BINS = 5  # of each column at each condition
_ROUNDING = 1e-12  # of a sum of squared weights
_OF_ONE_EVENT = 1e-3  # of I (1 - I), below which the strata alone decide where an event is


class Layouts(NamedTuple):
    """Where one looks at each condition.

    Attributes:
        condition: how it is cut.
        regions: at each condition, [region of the condition].
        panels: histograms of all events.
        notes: what was left out.
        binnings: which regions of each condition are bins of a column.
    """

    condition: Condition
    regions: tuple[rg.Regions, ...]
    panels: Layout
    notes: list[str]
    binnings: tuple[Sequence[Binning], ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Of all regions, those of a condition side by side."""
        pairs = zip(self.condition.labels, self.regions, strict=True)
        return tuple(f"{at}: {label}" for at, regions in pairs for label in regions.labels)

    @property
    def counted(self) -> rg.Regions:
        """Regions as many as are counted, to tell what they cost."""
        return rg.Regions(lambda x: x, self.labels * len(self.condition.share))


class StrataSums(NamedTuple):
    """Sums of a sample.

    Attributes:
        strata: in the regions of each stratum's condition; None where no event is.
        panels: in the bins of histograms.
        negative: negative weights.
        n: events.
        n_compared: events at a condition that is compared.
    """

    strata: tuple[rg.Sums | None, ...]
    panels: rg.Sums
    negative: int
    n: int
    n_compared: int

    @property
    def sums(self) -> rg.Sums:
        """Of the whole sample."""
        return self.panels

    def plus(self, other: "StrataSums") -> "StrataSums":
        """Those of both parts of a sample."""
        pairs = zip(self.strata, other.strata, strict=True)
        strata = tuple(a if b is None else b if a is None else a.plus(b) for a, b in pairs)
        return StrataSums(
            strata,
            self.panels.plus(other.panels),
            self.negative + other.negative,
            self.n + other.n,
            self.n_compared + other.n_compared,
        )


class AtCondition(NamedTuple):
    """What part of the events at each condition is in the regions, all [region].

    Attributes:
        integral: fraction, at the common distribution of the condition.
        n_effective: number of unweighted events with the same noise.
        n_inside: events.
        of_one: variance of one event whose stratum is known, in units of I (1 - I).
        usable: it is a fraction with a noise.
    """

    integral: np.ndarray
    n_effective: np.ndarray
    n_inside: np.ndarray
    of_one: np.ndarray
    usable: np.ndarray


def make_layouts(
    condition: Condition,
    events: Events,
    names: Sequence[str],
    *,
    n_train: int,
    bins: int | None,
    named: rg.Regions | None,
) -> Layouts:
    """Chooses edges at each condition from some events.

    Args:
        condition: how it is cut.
        events: whose last column is the number of their stratum.
        names: columns to look at.
        n_train: training events.
        bins: equiprobable bins of each column.
        named: a user's regions instead, at each condition.
    """
    strata = events.x[:, -1].astype(int)
    region = np.where(strata < 0, -1, condition.region[strata])
    every, notes, binnings = [], [], []
    for r, at in enumerate(condition.labels):
        of_condition = events.take(region == r)
        if not len(of_condition.x):
            every.append(_NOWHERE)
            binnings.append(())
            continue
        layout = make_layout(
            of_condition,
            names,
            n_train=n_train,
            bins=None if named else bins or _BINS,
            named=named,
            map_columns=None,
            pictures=False,
        )
        every.append(layout.regions if layout.regions.labels else _NOWHERE)
        binnings.append(layout.binnings)
        notes += [f"{at}: {note}" for note in layout.notes]
    panels = _histograms(events, names)
    return Layouts(condition, tuple(every), panels, notes, tuple(binnings))


def _histograms(events: Events, names: Sequence[str]) -> Layout:
    """Histograms of all events at the common distribution of the condition."""
    panels, parts, size = [], [], 0
    for i, name in enumerate(names):
        x = events.x[:, i]
        if x.min() < x.max():
            edges = panel_edges(x)
            panels.append(Panel(name, edges, size + np.arange(len(edges) - 1)))
            parts.append(rg.bins(rg.column(i), edges, name))
            size += len(edges) - 1
    regions = rg.join(*parts) if parts else _NOWHERE
    return Layout(regions, np.array([], int), [], panels, None, [])


def count_strata(selection: files.Selection, layouts: Layouts, advance: Any) -> StrataSums:
    """Sums of a sample at the condition, chunk by chunk."""
    total = None
    for chunk in files.over_chunks(partial(_count_chunk, layouts), selection):
        total = chunk if total is None else total.plus(chunk)
        advance(chunk.n)
    assert total is not None, "samples have at least one row"
    return total


def _count_chunk(layouts: Layouts, _: int, x: np.ndarray, weight: np.ndarray | None) -> StrataSums:
    region, size = layouts.condition.region, len(layouts.condition.share)
    strata = x[:, -1].astype(int)
    order = np.argsort(strata, kind="stable")
    ends = np.searchsorted(strata[order], np.arange(size + 1))
    sums: list[rg.Sums | None] = []
    for s in range(size):
        rows = order[ends[s] : ends[s + 1]]
        w = None if weight is None else weight[rows]
        inside = layouts.regions[region[s]]
        sums.append(rg.count(inside, x[rows], w) if len(rows) else None)
    negative = 0 if weight is None else int((weight < 0).sum())
    of_all = rg.count(layouts.panels.regions, x, weight)
    return StrataSums(tuple(sums), of_all, negative, len(x), int(ends[-1] - ends[0]))


def at_each_condition(layouts: Layouts, sums: StrataSums) -> AtCondition:
    """Fractions of a sample at the common distribution of the condition: I = sum P_s I_s over the
    strata of a condition, with the variance sum P_s^2 Var(I_s).
    """
    condition, parts = layouts.condition, []
    for r in range(len(condition.labels)):
        strata = np.flatnonzero(condition.region == r)
        share = condition.share[strata] / condition.share[strata].sum()
        parts.append(_over_strata(share, [sums.strata[s] for s in strata]))
    return AtCondition(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def condition_share(layouts: Layouts, of_condition: np.ndarray) -> np.ndarray:
    """A number of each condition for each of its regions [region]."""
    return np.repeat(of_condition, [len(regions.labels) for regions in layouts.regions])


def _over_strata(share: np.ndarray, sums: Sequence[rg.Sums | None]) -> AtCondition:
    """Of one condition, from the sums in its strata, which have this share of its events."""
    found = [s for s in sums if s is not None]
    size = len(found[0].n_inside) if found else 0
    integral, variance, of_one = np.zeros(size), np.zeros(size), np.zeros(size)
    n_inside, whole = np.zeros(size, int), 0.0
    for p, s in zip(share, sums, strict=True):
        if s is None:
            continue
        inside = s.weight_inside / s.weight
        deviations = s.square_inside * (1 - 2 * inside) + inside**2 * s.square
        deviations = np.where(np.abs(deviations) < _ROUNDING * s.square, 0.0, deviations)
        integral += p * inside
        variance += p**2 * deviations / s.weight**2
        n = s.weight**2 / s.square  # a variance that is estimated from so many is too small
        of_one += p * np.clip(inside * (1 - inside), 0, None) * n / max(n - 1, 1.0)
        whole += p**2 * s.square / s.weight**2
        n_inside += s.n_inside
    binomial = integral * (1 - integral)
    usable = (integral >= 0) & (integral <= 1 + 1e-9) & (variance >= 0)
    usable &= (n_inside == 0) | (integral > 0)
    integral = np.clip(integral, 0, 1)
    noisy = (variance > 0) & (binomial > 0)
    n_effective = np.where(noisy, binomial / np.where(noisy, variance, 1.0), 1 / whole)
    known = np.where(binomial > 0, of_one / np.where(binomial > 0, binomial, 1.0), 1.0)
    return AtCondition(integral, n_effective, n_inside, np.clip(known, _OF_ONE_EVENT, 1.0), usable)
