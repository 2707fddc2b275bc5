"""The columns of the table of a method, for the page and for LaTeX."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from markupsafe import Markup

from amplify.text import number

Value = str | float | list[float | None] | None
DASH = "\N{EN DASH}"
_ORDER = ("resolved", "lower_limit", "upper_limit", "biased", "unresolved")


class Column(NamedTuple):
    """A head in HTML and in LaTeX, and what stands below it."""

    title: Markup
    tex: str
    kind: Literal["text", "number", "interval", "pull", "status"]
    of: Callable[[dict[str, Any]], Value]

    @property
    def name(self) -> str:
        """The head in plain text."""
        text = str(self.title).replace("&sigma;", "sigma").replace("<sub>", "_")
        return text.replace("</sub>", "")

    def text(self, record: dict[str, Any]) -> str:
        """The cell for people; a dash is a missing number, ∞ an interval without upper end."""
        value = self.of(record)
        if isinstance(value, list):
            low, high = value
            return (
                DASH if low is None and high is None else f"{_shown(low or 0.0)} to {_shown(high)}"
            )
        if value is None:
            return DASH
        if isinstance(value, str):
            return value.replace("_", " ") if self.kind == "status" else value
        return f"{value:.1f}" if self.kind == "pull" else number(value)

    def key(self, record: dict[str, Any]) -> str:
        """What the cell is sorted by: a number, or nothing for what is missing or infinite, or the
        text itself. Intervals go by their lower end.
        """
        value = self.of(record)
        if self.kind == "status":
            return str(_ORDER.index(str(value))) if value in _ORDER else ""
        if isinstance(value, list):
            value = value[0]
        if isinstance(value, str):
            return value
        return repr(float(value)) if value is not None and math.isfinite(value) else ""


def _shown(value: float | None) -> str:
    return "∞" if value is None else number(value)


def _value(
    title: str,
    tex: str,
    name: str,
    kind: Literal["text", "number", "interval", "pull", "status"] = "number",
) -> Column:
    return Column(Markup(title), tex, kind, lambda record: record.get(name))  # noqa: S704  titles are ours


_REGION = _value("region", "Region", "region", "text")


def _estimate(title: str, tex: str, name: str) -> Column:
    """A value, where the data claim one and not only a limit from above."""
    return Column(
        Markup(title),
        tex,
        "number",
        lambda record: None if record["status"] == "upper_limit" else record.get(name),
    )


_WORTH = [
    _estimate("n_equiv", r"$n_\mathrm{equiv}$", "n_equiv"),
    _value("interval", "interval", "n_equiv_interval", "interval"),
    _estimate("G", "$G$", "amplification"),
    _value("interval", "interval", "amplification_interval", "interval"),
]
_STATUS = _value("status", "Status", "status", "status")


def columns(method: str, truth: Mapping[str, Any] | None) -> list[Column]:
    """The columns of a method; where truth is known the actual values stand beside the estimates.
    Records need their `row` for that.
    """
    actual = []
    if truth is not None:
        error = (
            ("&sigma;", r"$\sigma$", "actual_sigma")
            if method == "averaging"
            else ("D", "$D$", "actual_distance")
        )
        for title, tex, name in (error, ("G", "$G$", "actual_amplification")):
            actual.append(
                Column(
                    Markup("actual ") + Markup(title),
                    f"actual {tex}",
                    "number",
                    _of_row(truth[name]),
                )
            )
    if method == "averaging":
        own = [
            _value("I", "$I$", "integral"),
            _value("&sigma;<sub>stat</sub>", r"$\sigma_\mathrm{stat}$", "sigma_stat"),
            _value("&sigma;<sub>model</sub>", r"$\sigma_\mathrm{model}$", "sigma_model"),
        ]
        return [_REGION, *own, *_WORTH, *actual, _value("pull", "pull", "pull", "pull"), _STATUS]
    own = [
        _value("summary", "Summary", "summary", "text"),
        _value("holdout", "holdout", "n_holdout_region"),
        _value("D", "$D$", "distance"),
    ]
    return [
        _REGION,
        *own,
        *_WORTH,
        *actual,
        _value("for 30 %", r"for 30\,\%", "n_holdout_for_30_percent"),
        _STATUS,
    ]


def _of_row(values: list[float | None]) -> Callable[[dict[str, Any]], Value]:
    return lambda record: values[record["row"]]


def numbered(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The records by method, each with its place in results["estimates"] as `row`."""
    estimates = [e | {"row": row} for row, e in enumerate(results["estimates"])]
    return {
        method: [e for e in estimates if e["method"] == method]
        for method in ("averaging", "differential")
    }
