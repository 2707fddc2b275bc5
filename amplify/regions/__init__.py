"""Regions of phase space (`shapes`, `binning`), what a sample has in them (`counting`), and a
user's file of them (`cuts`).
"""

from amplify.regions.binning import (
    bins,
    bulk_and_tails,
    cells,
    equiprobable,
    equiprobable_edges,
    intervals,
    quantile_edges,
    shells,
    tail,
)
from amplify.regions.counting import Fractions, Sums, count, fractions, measurable, unweighted
from amplify.regions.shapes import (
    Observable,
    Regions,
    box,
    column,
    condition,
    join,
    mask,
    radius,
)

__all__ = [
    "Fractions",
    "Observable",
    "Regions",
    "Sums",
    "bins",
    "box",
    "bulk_and_tails",
    "cells",
    "column",
    "condition",
    "count",
    "equiprobable",
    "equiprobable_edges",
    "fractions",
    "intervals",
    "join",
    "mask",
    "measurable",
    "quantile_edges",
    "radius",
    "shells",
    "tail",
    "unweighted",
]
