"""What figures 7 and 8 share: KS distance to the truth of ever larger samples of generated and of
true events.
"""

from typing import Any

import numpy as np

from amplify.estimators.kolmogorov import K1
from amplify.plots.looks import ACCENT, GREY, INK


def draw(
    axis: Any,
    sizes: list[int],
    generated: dict[str, list[float]],
    distance: float,
    *,
    style: str = "-",
    marker: str = "o",
    label: str,
) -> None:
    """Mean over trainings with the central 68 %, the plateau D, and n_equiv where true events reach
    it.
    """
    axis.fill_between(sizes, generated["low"], generated["high"], color=ACCENT, alpha=0.18, lw=0)
    axis.plot(
        sizes, generated["mean"], style, color=ACCENT, marker=marker, ms=4, lw=1.4, label=label
    )
    axis.axhline(distance, color=GREY, lw=0.8, ls=":")
    n_equiv = (K1 / distance) ** 2
    axis.plot(n_equiv, distance, marker, mfc="white", mec=INK, ms=8, zorder=5)


def true_events(
    axis: Any, sizes: list[int], label: str | None = "true events, K1 / sqrt(n)"
) -> None:
    """The line of true events."""
    n = np.geomspace(min(sizes), max(sizes), 50)
    axis.plot(n, K1 / np.sqrt(n), "--", color=INK, lw=1.2, label=label)
    axis.set(xscale="log", yscale="log", xlabel="number of events n")
