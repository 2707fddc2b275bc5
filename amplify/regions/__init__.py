"""Regions of phase space (`shapes`), what a sample has in them (`counting`), and a user's file of
them (`cuts`).
"""

from amplify.regions.counting import Fractions, Sums, count, fractions, measurable, unweighted
from amplify.regions.shapes import (
    Observable,
    Regions,
    bins,
    box,
    bulk_and_tails,
    cells,
    column,
    condition,
    equiprobable,
    equiprobable_edges,
    intervals,
    join,
    mask,
    quantile_edges,
    radius,
    shells,
    tail,
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
