"""Does the precision of a column resolve its values? Numbers of single precision near 1.7e9 are 128
apart.
"""

from collections.abc import Sequence

import numpy as np

from amplify.tables.reading import spread
from amplify.tables.selection import Selection

_LOOKED_AT = 4096  # events
_NUMBERS, _FEWEST = 1 << 22, 128  # of all columns together, and events at least
_BLOCKS = 8  # of events
_RESOLVED = 20  # numbers in the spread of a column are enough
_HALF, _SINGLE, _DOUBLE = (float(np.finfo(f"f{size}").eps) for size in (2, 4, 8))
_EPSILON = {np.dtype(np.float16): _HALF, np.dtype(np.float32): _SINGLE}
_NAMES = {_HALF: "half", _SINGLE: "single", _DOUBLE: "double"}


def precision_notes(selections: Sequence[Selection]) -> list[str]:
    """A warning for each column whose numbers are not close to one another against its spread.

    Args:
        selections: samples with the same columns, compared in the precision of the coarsest.
    """
    most = min(_LOOKED_AT, max(_NUMBERS // len(selections[0].columns), _FEWEST))
    # as they are stored, before they are rounded alike
    looked_at = [spread(s._replace(rounded=frozenset()), most, _BLOCKS).x for s in selections]
    looked_at = [x for x in looked_at if len(x)]
    if not looked_at:
        return []
    width = np.max([_widths(x) for x in looked_at], axis=0)
    near = np.max([np.median(np.abs(x), axis=0) for x in looked_at], axis=0)
    kinds = np.array([_precisions(selection) for selection in selections])
    coarsest = kinds.argmax(axis=0)
    distance = near * kinds.max(axis=0)
    notes = []
    for i in np.flatnonzero((width > 0) & (distance > width / _RESOLVED)):
        source = selections[coarsest[i]].table.source
        where = f"{selections[0].columns[i].label} of {source} is in {_NAMES[kinds[:, i].max()]}"
        what = f"{where} precision: near {near[i]:.2g} its numbers are {distance[i]:.1g} apart"
        fix = "subtract an offset from it before it is stored"
        notes.append(f"{what}, and its spread is {width[i]:.2g}: {fix}")
    return notes


def coarse_columns(x: np.ndarray) -> list[str]:
    """Columns of events [n, column] that single precision does not resolve, as what they are."""
    events = x[:: max(len(x) // _LOOKED_AT, 1)]
    near, width = np.median(np.abs(events), axis=0), _widths(events)
    distance = near * np.finfo(np.float32).eps
    return [
        f"column {i} near {near[i]:.2g} with a spread of {width[i]:.2g}"
        for i in np.flatnonzero((width > 0) & (distance > width / _RESOLVED))
    ]


def _precisions(selection: Selection) -> list[float]:
    """The coarsest relative distance of numbers of what each column is made of."""
    table = selection.table
    stored = dict(zip(table.columns, table.dtypes, strict=True))
    of_column = {
        name: _EPSILON.get(dtype.newbyteorder("="), _DOUBLE) for name, dtype in stored.items()
    }
    # what is made of arrays is made in double precision, and errors of its elements average out
    return [
        max((of_column.get(name, _DOUBLE) for name in column.needs), default=_DOUBLE)
        for column in selection.columns
    ]


def _widths(x: np.ndarray) -> np.ndarray:
    """Half of the central 68 % of each column, or the standard deviation where most values are one;
    0 of one.
    """
    low, high = np.quantile(x, [0.16, 0.84], axis=0)
    width = np.where(high > low, (high - low) / 2, x.std(axis=0))
    return np.where(x.min(axis=0) < x.max(axis=0), width, 0.0)
