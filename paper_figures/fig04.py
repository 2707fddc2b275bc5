"""Figure 4: actual standard deviation and estimated uncertainties of radial integrals on the
Gaussian ring, 2-D left, 4-D right.
"""

from matplotlib.figure import Figure

from paper_figures.radial import panels


def figure() -> Figure:
    """Ten equiprobable shells."""
    return panels(slice(0, 10), None, "shell of equal probability, inside to outside")
