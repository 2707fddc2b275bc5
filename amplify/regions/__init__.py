"""Regions of phase space (`shapes`, `binning`, `trees`), what a sample has in them (`counting`), a
user's file of them (`cuts`), and which events could have been data (`passing`).
"""

from amplify.regions.binning import (
    bins,
    bulk_and_tails,
    cells,
    equiprobable,
    equiprobable_edges,
    equiprobable_or_fewer,
    intervals,
    quantile_edges,
    shells,
    tail,
)
from amplify.regions.counting import Fractions, Sums, count, fractions, measurable, unweighted
from amplify.regions.passing import passes
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
from amplify.regions.trees import quantile_tree

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
    "equiprobable_or_fewer",
    "fractions",
    "intervals",
    "join",
    "mask",
    "measurable",
    "passes",
    "quantile_edges",
    "quantile_tree",
    "radius",
    "shells",
    "tail",
    "unweighted",
]
