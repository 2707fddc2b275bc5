"""What many figures do: a legend above the panels, and a line at a number of events."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify.plots.looks import INK


def legend_above(fig: Figure, axis: Axes, **settings: Any) -> None:
    """The legend of one axis, above all of them."""
    entries = axis.get_legend_handles_labels()
    fig.legend(*entries, loc="outside upper center", frameon=False, **settings)


def mark(axis: Axes, n: float, text: str, *, height: float, lift: float = 0) -> None:
    """A thin vertical line at n, and what it is, from `height` in fractions of the axis, lifted by
    some points.
    """
    axis.axvline(n, color=INK, lw=0.8)
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    axis.annotate(text, (n, height), xytext=(4, lift), **place)
