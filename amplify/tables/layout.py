"""From what a file holds to what a table gives: fields with one number per event are columns, those
with several are arrays, and columns by element where their number is fixed.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.tables.table import Array, Jagged, Part, Table, elements
from amplify.text import harmless

JAGGED = "jagged: a number of values that differs from event to event"
MOST_COLUMNS = 100_000

# what a file says of a field: shape () is one number per event; text says why it is no numbers
Fields = Mapping[str, Array | str]
ReadFields = Callable[[int, int, Sequence[str]], Sequence[Any]]


class Layout(NamedTuple):
    """Names of a table, and where in the file each of them is.

    Attributes:
        dtypes: of the columns, by name.
        arrays: several numbers per event, by name.
        refused: what is no column, and why.
        places: of columns and arrays: the field, and the element in it, or None for all of it.
    """

    dtypes: dict[str, np.dtype]
    arrays: dict[str, Array]
    refused: dict[str, str]
    places: dict[str, tuple[str, int | None]]


def lay_out(fields: Fields) -> Layout:
    """Columns and arrays of fields. What a terminal would obey in a name is written as in a
    program.

    >>> p4 = Array((4,), np.dtype("f4"))
    >>> list(lay_out({"p4": p4, "Jet_pt": Array((None,), np.dtype("f4"))}).dtypes)
    ['p4[0]', 'p4[1]', 'p4[2]', 'p4[3]']
    """
    layout = Layout({}, {}, {}, {})
    for name, field in fields.items():
        if isinstance(field, str):
            layout.refused[shown(name)] = field
        elif field.shape == ():
            _add(layout, shown(name), (name, None), field.dtype)
        else:
            _add_array(layout, shown(name), name, field)
    return layout


def shown(name: str) -> str:
    """A name of a file as it is called here: what a terminal would obey is written out."""
    return harmless(name).replace("\n", "\\n")


def _add(layout: Layout, column: str, place: tuple[str, int | None], dtype: np.dtype) -> None:
    layout.dtypes[column] = dtype
    layout.places[column] = place


def _add_array(layout: Layout, called: str, name: str, field: Array) -> None:
    layout.arrays[called] = field
    layout.places[called] = (name, None)
    fixed = [n for n in field.shape if n is not None]
    if len(fixed) < len(field.shape):
        layout.refused[called] = JAGGED
    elif int(np.prod(fixed)) > MOST_COLUMNS:
        layout.refused[called] = f"{np.prod(fixed)} numbers per event"
    else:
        for i, column in enumerate(elements(called, tuple(fixed))):
            _add(layout, column, (name, i), field.dtype)


def table_of_fields(
    source: str,
    path: Path,
    n: int,
    fields: Fields,
    read: ReadFields,
    close: Callable[[], None],
    index: Sequence[str] = (),
) -> Table:
    """A table of the fields of a file.

    Args:
        source: what the user called it.
        path: the file.
        n: events.
        fields: by name.
        read: (start, stop, names of fields) -> values [row, ...] of each, or `Jagged`.
        close: closes the file.
        index: columns that are labels of rows.
    """
    layout = lay_out(fields)
    return Table(
        source,
        columns=tuple(layout.dtypes),
        dtypes=tuple(layout.dtypes.values()),
        n=n,
        read=by_name(layout.places, read),
        parts=(Part(source, path, n),),
        close=close,
        refused=layout.refused,
        index=tuple(map(shown, index)),
        arrays=layout.arrays,
    )


def by_name(
    places: Mapping[str, tuple[str, int | None]], read: ReadFields
) -> Callable[[int, int, Sequence[str]], list[Any]]:
    """`Table.read` from a function that reads fields: each field is read once, whatever is asked of
    it.
    """

    def read_names(start: int, stop: int, names: Sequence[str]) -> list[Any]:
        fields = list(dict.fromkeys(places[name][0] for name in names))
        values = dict(zip(fields, read(start, stop, fields), strict=True)) if fields else {}
        return [element_of(values[places[name][0]], places[name][1]) for name in names]

    return read_names


def element_of(values: Any, element: int | None) -> Any:
    """One element [event] of values [event, ...]; the values themselves where none is named."""
    if element is None:
        return values
    return values.reshape(len(values), int(np.prod(values.shape[1:])))[:, element]


def jagged_of(rows: Sequence[np.ndarray], dtype: np.dtype) -> Jagged:
    """Rows of different lengths [row][value, ...], put one after the other."""
    count = np.array([len(row) for row in rows], np.int64)
    return Jagged(np.concatenate([np.empty(0, dtype), *rows]), count)
