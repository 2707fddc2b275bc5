"""Figure 7: KS distance to the truth against the number of events, for fitted Gaussians and for
true events; the plateau is D, and n_equiv where both meet.
"""

from matplotlib.figure import Figure

from amplify.estimators.kolmogorov import K1
from amplify.plots.looks import GREY
from paper_figures.approach import draw, true_events
from paper_figures.drawing import mark
from paper_figures.recorded import study


def figure() -> Figure:
    """Twenty fits; band: central 68 % of them. The truth is a sample of 1e6 events, whose own noise
    shows beyond 1e5.
    """
    data = study("differential")["gaussian"]
    fig = Figure(figsize=(4.8, 3.9), layout="constrained")
    axis = fig.add_subplot()
    distance = data["distance_of_shown"]
    axis.plot(
        data["sizes"], data["true"]["mean"], "s", color=GREY, ms=4, label="true events, simulated"
    )
    true_events(axis, data["sizes"])
    draw(
        axis, data["sizes"], data["generated"], distance, label="generated events, mean of 20 fits"
    )
    n_equiv = (K1 / distance) ** 2
    for n, text in ((data["n_train"], r"$n_{\rm train}$"), (n_equiv, r"$n_{\rm equiv}$")):
        mark(axis, n, text, height=0.03)
    axis.set_ylabel("KS distance in the likelihood ratio")
    fig.legend(loc="outside upper center", frameon=False, fontsize=9)
    return fig
