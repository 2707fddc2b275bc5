"""Which events of a sample are in which region, however many regions there are: as rows, because a
table of booleans for millions of events and thousands of regions has no room.
"""

from typing import Any

import numpy as np

from amplify import regions as rg

MASKS = 1 << 26  # booleans at once
_TABLE = 64  # regions up to which the table is kept: it is small


def rows_inside(regions: rg.Regions, x: np.ndarray) -> list[Any]:
    """What picks the events x [n, dim] of each region: a mask, the numbers of their rows, or a
    slice that takes everything.
    """
    count = len(regions.labels)
    if count <= _TABLE:
        masks = np.asarray(regions.contains(x)).T
        return [slice(None) if mask.all() else np.ascontiguousarray(mask) for mask in masks]
    size = max(MASKS // count, 1)
    which, rows = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    for start in range(0, len(x), size):
        table = np.asarray(regions.contains(x[start : start + size]))
        in_block, region = np.nonzero(table)
        which.append(region.astype(np.int32))
        rows.append((start + in_block).astype(np.int32))
    regions_of, events = np.concatenate(which), np.concatenate(rows)
    order = np.argsort(regions_of, kind="stable")
    ends = np.cumsum(np.bincount(regions_of, minlength=count))[:-1]
    found = np.split(events[order], ends)
    return [slice(None) if len(inside) == len(x) else inside for inside in found]
