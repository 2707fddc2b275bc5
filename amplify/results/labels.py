"""Names and units of columns for people, from a file: `pt: {label: "$p_T$", unit: GeV}`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amplify.errors import InputError
from amplify.text import one_line

Labels = dict[str, dict[str, str | None]]

_EXAMPLE = 'lines like pt: {label: "$p_T$", unit: GeV}'
_MOST_BYTES = 1 << 20
_LONGEST = 120  # characters of a label


def read_labels(path: Path) -> Labels:
    """Reads a YAML or JSON file of labels.

    Raises:
        InputError: no file, no YAML, or a label that cannot be drawn.
    """
    import yaml

    what = f"--labels {path}"
    if not path.is_file():
        raise InputError(what, "a YAML file of labels", "no such file", "check the path")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(what, "a short file of labels", "more than a megabyte", "shorten it")
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        got = one_line(str(error), 120)
        raise InputError(what, _EXAMPLE, got, "correct the line") from None
    return checked_labels(given, what)


def checked_labels(given: Any, what: str = "labels") -> Labels:
    r"""Labels by column, as results.json holds them.

    >>> checked_labels({"pt": {"label": "$p_T$", "unit": "GeV"}, "eta": r"$\eta$"})["eta"]
    {'label': '$\\eta$', 'unit': None}

    Args:
        given: for each column a label, or a label and a unit.
        what: the name of what is wrong in errors.

    Raises:
        InputError: anything else, or mathematics that matplotlib does not understand.
    """
    if not isinstance(given, Mapping):
        raise InputError(what, _EXAMPLE, one_line(repr(given), 60), "name columns and labels")
    return {str(column): _checked(column, value, what) for column, value in given.items()}


def _checked(column: Any, value: Any, what: str) -> dict[str, str | None]:
    said = {"label": value} if isinstance(value, str) else value
    where = f"{what}: {one_line(str(column), 60)}"
    if not isinstance(said, Mapping) or not said or set(said) - {"label", "unit"}:
        got = one_line(repr(value), 60)
        raise InputError(where, "a label, or {label: ..., unit: ...}", got, "correct the line")
    own_name = str(column).replace("$", r"\$")
    label, unit = said.get("label", own_name), said.get("unit")
    for text in (label, unit):
        if text is not None and (not isinstance(text, str) or len(text) > _LONGEST):
            expected, got = f"text of at most {_LONGEST} characters", one_line(repr(text), 60)
            raise InputError(where, expected, got, "put it between quotes, or shorten it")
    if not text_can_be_drawn(label):
        fix = r"write formulas like $p_T$, a dollar as \$"
        raise InputError(where, "a label that can be drawn", repr(one_line(label, 60)), fix)
    return {"label": label, "unit": unit or None}


def text_can_be_drawn(text: str) -> bool:
    r"""Whether matplotlib understands the mathematics in it.

    >>> text_can_be_drawn("$p_T$"), text_can_be_drawn(r"$\nosuch$"), text_can_be_drawn("plain")
    (True, False, True)
    """
    from matplotlib.cbook import is_math_text
    from matplotlib.mathtext import MathTextParser

    if not text.isprintable():
        return False
    if not is_math_text(text):
        return True
    try:
        MathTextParser("path").parse(text)
    except ValueError:
        return False
    return True
