"""Figure 5: the same as figure 4 for large radii only."""

from matplotlib.figure import Figure

from paper_figures.radial import panels
from paper_figures.recorded import study


def figure() -> Figure:
    """Integrals over r above a threshold."""
    edges = next(iter(study("ring").values()))["tail_edges"]
    return panels(slice(10, 10 + len(edges)), [f"> {e:g}" for e in edges], "radius r")
