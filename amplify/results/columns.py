"""The columns of the table of a method, for the page and for LaTeX."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from markupsafe import Markup

from amplify.text import number

Record = dict[str, Any]
Value = str | float | Sequence[float | None] | None
Kind = Literal["text", "number", "interval", "pull", "status"]
DASH = "\N{EN DASH}"
LIMITS = ("lower_limit", "upper_limit")
_ORDER = ("resolved", "lower_limit", "upper_limit", "biased", "unresolved")


class Column(NamedTuple):
    """A head in HTML and in LaTeX, what stands below it, and its place in the order in which
    columns are dropped where a line is too short for all of them: the largest goes first.
    """

    title: Markup
    tex: str
    kind: Kind
    of: Callable[[Record], Value]
    rank: int = 0

    @property
    def name(self) -> str:
        """The head in plain text."""
        text = str(self.title).replace("&sigma;", "sigma").replace("<sub>", "_")
        return text.replace("</sub>", "")

    def text(self, record: Record) -> str:
        """The cell for people; a dash is a missing number, ∞ an interval without upper end."""
        value = self.of(record)
        if value is None:
            return DASH
        if isinstance(value, str):
            return value.replace("_", " ") if self.kind == "status" else value
        if isinstance(value, Sequence):
            low, high = value
            if low is None and high is None:
                return DASH
            if record["status"] == "lower_limit" and low is not None:
                return f"> {number(low)}"
            if record["status"] == "upper_limit" and high is not None:
                return f"< {number(high)}"
            return f"{number(low or 0.0)} to {'∞' if high is None else number(high)}"
        return f"{round(value, 1) + 0.0:.1f}" if self.kind == "pull" else number(value)

    def key(self, record: Record) -> str:
        """What the cell is sorted by: a number, or nothing for what is missing or infinite, or the
        text itself. Intervals go by their lower end.
        """
        value = self.of(record)
        if self.kind == "status":
            return str(_ORDER.index(str(value))) if value in _ORDER else ""
        if isinstance(value, str):
            return value
        if isinstance(value, Sequence):
            value = value[0]
        return repr(float(value)) if value is not None and math.isfinite(value) else ""


def columns(method: str, truth: Mapping[str, Any] | None) -> list[Column]:
    """The columns of a method; where truth is known the actual values stand beside the estimates.
    Records need their `row` for that.
    """
    actual = [] if truth is None else _actual(method, truth)
    if method == "averaging":
        pull = _stored("pull", "pull", "pull", "pull", rank=4)
        return [_REGION, *_OF_INTEGRALS, *_WORTH, *actual, pull, _STATUS]
    needed = _stored("for 30 %", r"for 30\,\%", "n_holdout_for_30_percent", rank=7)
    return [_REGION, *_OF_SUMMARIES, *_WORTH, *actual, needed, _STATUS]


def pool_columns(rows: Sequence[Record]) -> list[Column]:
    """Of the pool of members, with the actual G where truth is known."""
    known = any(row.get("actual_amplification") is not None for row in rows)
    return [_REGION, *_WORTH, *([_ACTUAL] if known else []), _STATUS]


def member_columns() -> list[Column]:
    """Of members one by one."""
    distance = _stored("D", "$D$", "distance")
    return [_stored("member", "Member", "member"), distance, *_WORTH, _STATUS]


def levels(records: Sequence[Record]) -> str:
    """What the numbers of a table are, in words.

    >>> levels([{"status": "resolved", "level": 0.68}])
    '68 % intervals, two-sided'
    """
    limits = [r for r in records if r["status"] in LIMITS]
    intervals = [r for r in records if r["status"] not in LIMITS]
    said = []
    if intervals:
        said.append(f"{_percent(r['level'] for r in intervals)} intervals, two-sided")
    if limits:
        said.append(f"{_percent(map(limit_level, limits))} limits, one-sided")
    return "; ".join(said)


def limit_level(record: Record) -> float:
    """The level of a limit; older versions had one level for everything."""
    return record.get("limit_level") or record["level"]


def percent(level: float) -> str:
    """With the digits that matter.

    >>> percent(0.68), percent(0.999)
    ('68 %', '99.9 %')
    """
    return f"{100 * level:.6g} %"


def _percent(several: Iterable[float]) -> str:
    return " and ".join(dict.fromkeys(map(percent, several)))


def numbered(results: Mapping[str, Any]) -> dict[str, list[Record]]:
    """The records by method, each with its place in results["estimates"] as `row`."""
    estimates = [e | {"row": row} for row, e in enumerate(results["estimates"])]
    return {
        method: [e for e in estimates if e["method"] == method]
        for method in ("averaging", "differential")
    }


def _stored(title: str, tex: str, key: str, kind: Kind = "number", rank: int = 0) -> Column:
    """What a record says of itself."""
    head = Markup(title)  # noqa: S704  titles are ours
    return Column(head, tex, kind, lambda record: record.get(key), rank)


def _estimate(title: str, tex: str, key: str, rank: int = 0) -> Column:
    """A value, where the data claim one and not only a limit."""
    stored = _stored(title, tex, key, rank=rank)
    return stored._replace(
        of=lambda record: None if record["status"] in LIMITS else record.get(key)
    )


def _actual(method: str, truth: Mapping[str, Any]) -> list[Column]:
    """Error and amplification as the truth has them, for each row."""
    error = ("&sigma;", r"$\sigma$", "actual_sigma")
    if method == "differential":
        error = ("D", "$D$", "actual_distance")
    return [
        Column(
            Markup("actual ") + Markup(title),  # noqa: S704  titles are ours
            f"actual {tex}",
            "number",
            _of_row(truth.get(key)),
            rank,
        )
        for (title, tex, key), rank in ((error, 10), (("G", "$G$", "actual_amplification"), 2))
    ]


def _of_row(values: Sequence[float | None] | None) -> Callable[[Record], Value]:
    return lambda record: values[record["row"]] if values else None


_REGION = _stored("region", "Region", "region", "text")
_STATUS = _stored("status", "Status", "status", "status")
_WORTH = [
    _estimate("n_equiv", r"$n_\mathrm{equiv}$", "n_equiv", rank=2),
    _stored("interval", "interval", "n_equiv_interval", "interval", rank=6),
    _estimate("G", "$G$", "amplification"),
    _stored("interval", "interval", "amplification_interval", "interval", rank=1),
]
_ACTUAL = _stored("actual G", "actual $G$", "actual_amplification")
_OF_INTEGRALS = [
    _stored("I", "$I$", "integral", rank=7),
    _stored("&sigma;<sub>stat</sub>", r"$\sigma_\mathrm{stat}$", "sigma_stat", rank=9),
    _stored("&sigma;<sub>model</sub>", r"$\sigma_\mathrm{model}$", "sigma_model", rank=8),
]
_OF_SUMMARIES = [
    _stored("summary", "Summary", "summary", "text", rank=5),
    _stored("holdout", "holdout", "n_holdout_region", rank=8),
    _stored("D", "$D$", "distance", rank=3),
]
