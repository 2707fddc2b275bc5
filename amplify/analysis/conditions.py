"""Conditional generators: both samples compared at the same value of a column that was given to the
generator (docs/method, Conditional generators).

The condition is cut into strata: its values where they are few, else equiprobable bins and finer
ones within them. Each sample is reweighted, stratum by stratum, to one distribution of the
condition, that of the holdout. Behind the columns of a sample stands the number of its stratum, so
that nobody can learn more of the condition than that.
"""

from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.regions import places
from amplify.tables import files
from amplify.tables.expressions import Columns, Expression
from amplify.tables.selection import Selection
from amplify.tables.table import Table
from amplify.types import Events


class Condition(NamedTuple):
    """How a column is cut, and what part of the events is where.

    Attributes:
        text: how the user wrote the column.
        name: of the column.
        ends: of the strata, or the values themselves.
        stratum: number of the stratum for each place among the ends; -1 where nothing is compared
            [len(ends) + 1].
        region: of each stratum [stratum].
        labels: of the regions.
        share: of the events in each stratum [stratum]; sums to one.
        values: the ends are values.
        single: the condition is read in single precision in one of the samples.
    """

    text: str
    name: str
    ends: np.ndarray
    stratum: np.ndarray
    region: np.ndarray
    labels: tuple[str, ...]
    share: np.ndarray
    values: bool
    single: bool

    @property
    def region_share(self) -> np.ndarray:
        """Of the events in each region [region]."""
        return np.bincount(self.region, self.share, len(self.labels))

    def strata_of(self, condition: np.ndarray) -> np.ndarray:
        """The number of the stratum of each event, -1 for none."""
        return self.stratum[
            places_among(self.ends, condition, values=self.values, single=self.single)
        ]

    def regions(self) -> rg.Regions:
        """Regions of events whose last column is the number of their stratum."""
        numbers = [np.flatnonzero(self.region == r) for r in range(len(self.labels))]
        first = np.array([strata[0] for strata in numbers])
        last = np.array([strata[-1] for strata in numbers])
        parts = rg.intervals(lambda x: x[..., -1], first, last + 1, self.name)
        return parts._replace(labels=self.labels)


class Counted(NamedTuple):
    """What a sample has in each place among the ends [place]: sums of weights and squared ones, and
    of weights times the distance of the condition from the lower end, and times its square.
    """

    weight: np.ndarray
    square: np.ndarray
    distance: np.ndarray
    distance_square: np.ndarray


class Factors(NamedTuple):
    """With which factor events count: scale (1 + slope (condition - mean)) of their stratum; the
    last of each is for events in none [stratum + 1].

    The scale gives each stratum its share, and the slope gives the condition the same mean there.
    """

    scale: np.ndarray
    slope: np.ndarray
    mean: np.ndarray

    @property
    def change_nothing(self) -> bool:
        """Whether all events count as before."""
        return bool((self.scale == 1).all() and (self.slope == 0).all())

    def of_events(self, strata: np.ndarray, condition: np.ndarray) -> np.ndarray:
        """The factor of each event."""
        return self.scale[strata] * (1 + self.slope[strata] * (condition - self.mean[strata]))


def column_of(table: Table, text: str) -> str:
    """The column of a condition as the table calls it: an array of one value per event is one.

    >>> from amplify.tables.memory import from_array
    >>> column_of(from_array([[1.0, 2.0]], names=["E[0]", "pt"]), "E")
    'E[0]'
    """
    files.refuse_several(table, text)
    of_array = f"{text}[0]"
    alone = of_array in table.columns and f"{text}[1]" not in table.columns
    return of_array if alone and text not in table.columns else text


def given_columns(table: Table, text: str | None) -> list[str]:
    """What a condition may be called among the columns, and the columns that it is made of: they
    are not looked at themselves.
    """
    if text is None:
        return []
    (chosen,) = files.select(table, [column_of(table, text)]).columns
    return [text, *chosen.needs]


def at_condition(
    condition: Condition, sample: Selection, factors: Factors | None = None
) -> Selection:
    """The sample with the number of the stratum as its last column, and weights that give it the
    distribution of the condition.

    Args:
        condition: how it is cut.
        sample: the columns that are looked at.
        factors: with which events count, from `cut`; None for those that keep their own
            distribution of the condition.
    """
    given = of_condition(sample, condition.text).columns[-1]
    place = Expression(
        f"stratum of {condition.name}",
        given.needs,
        lambda columns: condition.strata_of(given.value(columns)),
        plain=given.plain,  # small integers, exact in every precision
    )
    selection = sample._replace(columns=(*sample.columns, place))
    if factors is None or factors.change_nothing:
        return selection
    weight = sample.weight

    def value(columns: Columns) -> np.ndarray:
        x = np.asarray(given.value(columns), np.float64)
        of_event = factors.of_events(condition.strata_of(x), x)
        return of_event if weight is None else of_event * np.asarray(weight.value(columns))

    needs = given.needs if weight is None else (*given.needs, *weight.needs)
    label = "weight to the same condition" if weight is None else weight.label
    unique = tuple(dict.fromkeys(needs))
    return selection._replace(weight=Expression(label, unique, value))


def condition_record(condition: Condition) -> dict[str, Any]:
    """What results.json says of it."""
    return {
        "column": condition.name,
        "regions": list(condition.labels),
        "share": condition.region_share,
        "strata": len(condition.share),
    }


def stratified(condition: Condition, events: Events) -> Events:
    """Events whose last column is the number of their stratum, weighted so that each region has its
    share of them.
    """
    strata = events.x[:, -1].astype(int)
    w = np.ones(len(strata)) if events.weight is None else events.weight
    region = np.where(strata < 0, len(condition.labels), condition.region[strata])
    sums = np.bincount(region, w, len(condition.labels) + 1)[:-1]
    share = condition.region_share
    factor = np.where(sums > 0, share / np.where(sums > 0, sums, 1.0), 0.0) * len(strata)
    return Events(events.x, w * np.append(factor, 0.0)[region])


def places_among(
    ends: np.ndarray, condition: np.ndarray, *, values: bool, single: bool
) -> np.ndarray:
    """Where among the ends each event is; the last place for none.

    Between ends k and k + 1 is place k, with the upper end of the last one in it; of values, it is
    which one.
    """
    x = np.asarray(condition)
    if single:
        x = x.astype(np.float32)
    x = x.astype(np.float64)
    nowhere = len(ends)
    if values:
        place = np.minimum(np.searchsorted(ends, x), len(ends) - 1)
        return np.where(ends[place] == x, place, nowhere)
    place = np.minimum(places.places_among(x, ends) - 1, len(ends) - 2)
    inside = (x >= ends[0]) & (x <= ends[-1])
    return np.where(inside, place, nowhere)


def of_condition(sample: Selection, text: str) -> Selection:
    """The sample with the condition as its last column: the only one, unless others say which
    events are dropped.
    """
    (column,) = files.select(sample.table, [column_of(sample.table, text)]).columns
    others = sample.columns if sample.drop else ()
    return sample._replace(columns=(*others, column), rounded=frozenset())
