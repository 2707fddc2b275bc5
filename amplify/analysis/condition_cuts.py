"""How a condition is cut into strata and regions, so that all samples have events in each."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.analysis.condition_notes import cost_of, notes_of
from amplify.analysis.conditions import (
    Condition,
    Counted,
    Factors,
    column_of,
    of_condition,
    places_among,
)
from amplify.errors import InputError
from amplify.tables import files
from amplify.tables.selection import Selection
from amplify.text import listed
from amplify.types import Events

BINS = 10
_VALUES = 20  # distinct ones, up to which each is a region of its own
_WHOLE = 1e9  # values that are shown as they are, where all are whole
_FINE = (32, 16, 8, 4, 2)  # strata of a bin, as many as all samples have events for
_FEWEST = 25.0  # effective events of a stratum
_LOOKED_AT = 2_000_000  # events that place the edges


class Cut(NamedTuple):
    """A condition, with which factors the events of each sample count, and warnings."""

    condition: Condition
    factors: list[Factors]
    notes: list[str]


def cut(
    text: str, samples: Sequence[Selection], reference: Selection | None, bins: int | None
) -> Cut:
    """Cuts a column into strata and regions.

    Args:
        text: the column.
        samples: that are compared, the reference among them.
        reference: whose distribution of the condition all others get; None for the mean of all.
        bins: equiprobable ones; None for the values, where they are few, else ten bins.

    Raises:
        InputError: no value that all samples have.
    """
    placing = [of_condition(s, text) for s in ([reference] if reference else samples)]
    single = any(_is_single(of_condition(s, text)) for s in samples)
    events = _looked_at(placing)
    x = events.x[:, 0].astype(np.float32).astype(np.float64) if single else events.x[:, 0]
    distinct = np.unique(x)
    name = files.select(samples[0].table, [column_of(samples[0].table, text)]).names[0]
    name = text if name == f"{text}[0]" else name
    if len(distinct) <= (bins or _VALUES):
        labels = _value_labels(name, distinct)
        whole = np.arange(len(distinct))
        uncut = Condition(text, name, distinct, whole, whole, labels, whole, True, single)
    else:
        uncut = _in_bins(text, name, x, events.weight, bins or BINS, single)
    counted = [_counted(s, uncut) for s in samples]
    of_reference = None if reference is None else counted[_index(samples, reference)]
    found, missing = _usable(uncut, counted, of_reference)
    if not len(found.share):
        got = f"none of {len(uncut.labels)} in all samples"
        fix = "generate events at the conditions of the holdout"
        raise InputError(f"--condition {text}", f"values of {name} in common", got, fix)
    notes = []
    if missing:
        what = f"{listed(missing, 4)}: no events, or no positive weight, in one of the samples"
        notes.append(f"{what}, nothing is compared there")
    moments = [_moments(found, count) for count in counted]
    every = moments if reference is None else [moments[_index(samples, reference)]]
    mean = np.mean([m.mean for m in every], axis=0)
    factors = [_factors(found, c, m, mean) for c, m in zip(counted, moments, strict=True)]
    each = zip(samples, counted, factors, strict=True)
    costs = [
        cost_of(sample.table.source, count, factor.scale, found.stratum)
        for sample, count, factor in each
    ]
    return Cut(found, factors, [*notes, *notes_of(found.name, costs)])


def _in_bins(
    text: str, name: str, x: np.ndarray, weight: np.ndarray | None, bins: int, single: bool
) -> Condition:
    """Equiprobable bins, and strata in them; the lowest and the highest value are ends."""
    fine = rg.quantile_edges(x, weight, bins * _FINE[0])
    coarse = rg.quantile_edges(x, weight, bins)
    if len(coarse) <= 2:
        got = "nearly always one value"
        raise InputError(f"--condition {text}", "different values", got, "drop --condition")
    ends = np.unique([x.min(), *fine[1:-1], *coarse[1:-1], x.max()])
    region = np.searchsorted(coarse, ends[:-1], side="right") - 1
    labels = rg.bins(rg.column(0), coarse, name).labels  # open, but nothing lies beyond
    strata = np.arange(len(region))
    return Condition(text, name, ends, strata, region, labels, strata, False, single)


def _usable(
    uncut: Condition, counted: Sequence[Counted], reference: Counted | None
) -> tuple[Condition, list[str]]:
    """Strata that all samples have enough events in, and the labels of regions that they lack."""
    strata, regions, labels, missing = [], [], [], []
    for r, label in enumerate(uncut.labels):
        places = np.flatnonzero(uncut.region == r)
        if not len(places):
            continue  # the highest value is an edge
        groups = _groups(places, counted)
        if groups is None:
            missing.append(label)
            continue
        strata += groups
        regions += [len(labels)] * len(groups)
        labels.append(label)
    number_of = np.full(len(uncut.ends) + 1, -1)
    for s, places in enumerate(strata):
        number_of[places] = s
    every = [reference] if reference is not None else counted
    sums = [[c.weight[places].sum() for places in strata] for c in every]
    share = np.mean([np.array(s) / np.sum(s) for s in sums], axis=0) if strata else np.zeros(0)
    found = uncut._replace(
        stratum=number_of, region=np.array(regions, int), labels=tuple(labels), share=share
    )
    return found, missing


def _groups(places: np.ndarray, counted: Sequence[Counted]) -> list[np.ndarray] | None:
    """The strata of a region, as many as all samples allow; None where one of them has nothing."""
    for pieces in (*_FINE, 1):
        groups = [g for g in np.array_split(places, min(pieces, len(places))) if len(g)]
        least = 0.0 if pieces == 1 else _FEWEST
        if all(_effective(c, group) > least for c in counted for group in groups):
            return groups
    return None


def _effective(counted: Counted, places: np.ndarray) -> float:
    """Effective events; none where the weights have no positive sum."""
    weight, square = counted.weight[places].sum(), counted.square[places].sum()
    return float(weight**2 / square) if weight > 0 else 0.0


class _Moments(NamedTuple):
    """Of the condition in each stratum, from its lower end [stratum]: width, mean and variance."""

    low: np.ndarray
    width: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


def _moments(condition: Condition, counted: Counted) -> _Moments:
    """Of a sample. Those of one value are zero."""
    size, inside = len(condition.share), np.flatnonzero(condition.stratum[:-1] >= 0)
    strata = condition.stratum[inside]
    low = np.full(size, np.inf)
    np.minimum.at(low, strata, condition.ends[inside])
    if condition.values:
        nothing = np.zeros(size)
        return _Moments(low, nothing, nothing, nothing)
    high = np.full(size, -np.inf)
    np.maximum.at(high, strata, condition.ends[inside + 1])
    offset, w = condition.ends[inside] - low[strata], counted.weight[inside]
    first = counted.distance[inside] + offset * w
    second = counted.distance_square[inside] + 2 * offset * counted.distance[inside] + offset**2 * w
    sums = np.bincount(strata, w, size)
    mean = np.bincount(strata, first, size) / sums
    variance = np.bincount(strata, second, size) / sums - mean**2
    return _Moments(low, high - low, mean, variance)


def _factors(
    condition: Condition, counted: Counted, moments: _Moments, mean: np.ndarray
) -> Factors:
    """With which the events of a sample count, so that each stratum has its share and its `mean`;
    0 outside. No factor is negative: a mean far from the sample's is only approached.
    """
    inside = condition.stratum[:-1] >= 0
    places = condition.stratum[:-1][inside]
    of_place = counted.weight[: len(inside)][inside]
    sums = np.bincount(places, of_place, len(condition.share))
    scale = condition.share / np.where(sums > 0, sums, np.inf) * sums.sum()
    unchanged = counted.weight.sum() == sums.sum() and np.allclose(scale, 1, rtol=1e-12)
    scale = np.ones(len(scale) + 1) if unchanged else np.append(scale, 0.0)

    _, width, own, variance = moments
    known = (variance > 0) & (own > 0) & (own < width) & (mean > 0) & (mean < width)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.clip((mean - own) / variance, -1 / (width - own), 1 / own)
    slope = np.where(known, slope, 0.0)
    return Factors(scale, np.append(slope, 0.0), np.append(moments.low + own, 0.0))


def _counted(sample: Selection, condition: Condition) -> Counted:
    """Sums of a sample, in one pass over the condition."""
    count = partial(_count_chunk, condition)
    sums = np.zeros((4, len(condition.ends) + 1))
    for chunk in files.over_chunks(count, of_condition(sample, condition.text)):
        sums += chunk
    return Counted(*sums)


def _count_chunk(
    condition: Condition, _: int, x: np.ndarray, weight: np.ndarray | None
) -> np.ndarray:
    """Sums in each place, [4, place]."""
    place = places_among(condition.ends, x[:, -1], values=condition.values, single=condition.single)
    low = np.append(condition.ends, np.nan)
    w = np.ones(len(place)) if weight is None else weight
    distance = np.nan_to_num(x[:, -1].astype(np.float64) - low[place])
    summed = w, w**2, w * distance, w * distance**2
    return np.array([np.bincount(place, each, len(condition.ends) + 1) for each in summed])


def _is_single(sample: Selection) -> bool:
    column = sample.columns[-1]
    return column.plain and sample.table.all_single(column.needs)


def _looked_at(samples: Sequence[Selection]) -> Events:
    """Some events of the samples, each with the same sum of weights."""
    parts = [files.spread(s, _LOOKED_AT // len(samples)) for s in samples]
    x = np.concatenate([part.x[:, -1:] for part in parts])
    if len(parts) == 1:
        return Events(x, parts[0].weight)
    weights = [np.ones(len(p.x)) if p.weight is None else p.weight for p in parts]
    return Events(x, np.concatenate([w / w.sum() for w in weights]))


def _index(samples: Sequence[Selection], reference: Selection) -> int:
    return next(i for i, sample in enumerate(samples) if sample is reference)


def _value_labels(name: str, values: np.ndarray) -> tuple[str, ...]:
    """In as many digits as tell them apart; whole numbers as they are."""
    if np.all(values == np.round(values)) and np.abs(values).max() < _WHOLE:
        return tuple(f"{name} = {value:.0f}" for value in values)
    for digits in range(4, 18):
        said = [f"{value:.{digits}g}" for value in values]
        if len(set(said)) == len(said):
            break
    return tuple(f"{name} = {value}" for value in said)
