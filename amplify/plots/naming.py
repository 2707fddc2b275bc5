"""How columns and regions are called in pictures: by their names as they are, or by the labels and
units that the user gave, in matplotlib's mathematics.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from amplify.plots.looks import plain
from amplify.plots.source import Source, results_of
from amplify.results.labels import text_can_be_drawn
from amplify.text import at_condition, harmless, parts_of, shortened

_LONGEST = 120  # characters of a label with its commands
_can_be_drawn = cache(text_can_be_drawn)


class Names(NamedTuple):
    """Labels by column; those without one are called by their names.

    Attributes:
        labels: `{"pt": {"label": "$p_T$", "unit": "GeV"}}`, as `settings.labels` of results.json.
    """

    labels: Mapping[str, Any] = {}

    def axis(self, column: str, most: int = 48) -> str:
        r"""Of an axis, with the unit.

        >>> Names({"pt": {"label": "$p_T$", "unit": "GeV"}}).axis("pt"), Names().axis("a$")
        ('$p_T$ [GeV]', 'a\\$')
        """
        label, unit = self._pretty(column)
        if label is None:
            return plain(f"{column} [{unit}]" if unit else column, most)
        return f"{label} [{plain(unit)}]" if unit else label

    def region(self, label: str, most: int = 48) -> str:
        """Of a region: the names of a bin's observable and of its condition are replaced; a long
        name is shortened, the edges of its bin are not.

        >>> names = Names({"pt": {"label": "$p_T$", "unit": "GeV"}})
        >>> names.region("0 <= pt < 10"), names.region("tail", 3)
        ('0 <= $p_T$ < 10 GeV', 't…l')
        """
        condition, rest = at_condition(label)
        names = [(parts_of(part) or ("", part, ""))[1] for part in (condition[:-2], rest)]
        if condition and any(self._pretty(name) != (None, None) for name in names):
            room = max(most - len(condition), 8)
            return f"{self.region(condition[:-2], most)}: {self.region(rest, room)}"
        low, name, high = parts_of(label) or ("", "", "")
        pretty, unit = self._pretty(name)
        if pretty is None and not unit:
            return plain(shortened(harmless(label), most), most)
        unit = f" {plain(unit)}" if unit else ""
        return f"{plain(low)} {pretty or plain(name, most)} {plain(high)}{unit}".strip()

    def _pretty(self, column: str) -> tuple[str | None, str | None]:
        """Label and unit, where they are fit to be drawn."""
        given = self.labels.get(column)
        if not isinstance(given, Mapping):
            return None, None
        label, unit = given.get("label"), given.get("unit")
        fits = isinstance(label, str) and 0 < len(label) <= _LONGEST and _can_be_drawn(label)
        return (label if fits else None), (unit if isinstance(unit, str) and unit else None)


def names_of(result: Source) -> Names:
    """Those of a result."""
    settings = results_of(result).get("settings")
    labels = settings.get("labels") if isinstance(settings, Mapping) else None
    return Names(labels if isinstance(labels, Mapping) else {})
