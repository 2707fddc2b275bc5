"""Figure 8: KS distance to the truth against the number of events for spline flows on the Gaussian
ring, 2-D and 4-D; markers at the plateau are n_equiv.
"""

from matplotlib.figure import Figure

from paper_figures.approach import draw, true_events
from paper_figures.drawing import legend_above
from paper_figures.recorded import study
from paper_figures.scan import dims

STYLES = ((1_000, "-", "o"), (10_000, "-.", "s"), (100_000, ":", "^"))


def figure() -> Figure:
    """Means over training sets, bands: central 68 % of them."""
    data = study("differential")
    fig = Figure(figsize=(7.0, 3.9), layout="constrained")
    axes = fig.subplots(1, len(dims()), sharey=True, squeeze=False)[0]
    for axis, dim in zip(axes, dims(), strict=True):
        styles = [style for style in STYLES if f"d{dim}-n{style[0]}" in data]
        for n_train, style, marker in styles:
            case = data[f"d{dim}-n{n_train}"]
            label = f"flows, $n_{{\\rm train}} = 10^{len(str(n_train)) - 1}$"
            draw(
                axis,
                case["sizes"],
                case["approach"],
                case["distance"][0],
                style=style,
                marker=marker,
                label=label,
            )
        true_events(axis, case["sizes"])
        axis.set_title(f"{dim}-D")
    axes[0].set_ylabel("KS distance in the likelihood ratio")
    legend_above(fig, axes[0], ncols=4, fontsize=8.5)
    return fig
