"""Figure 11: kinematic distributions of top pairs after the cuts, true and generated, with the
ratio of both and the spread of bootstrap members.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify.plots.looks import INK
from paper_figures.drawing import legend_above
from paper_figures.top import FILL, Look, floats, generators

PANELS = (
    ("pt_t_gev", "p_{T,t}", "log"),
    ("m_tt_gev", "m_{tt}", "log"),
    ("pt_tt_gev", "p_{T,tt}", "log"),
    ("m_wplus_gev", "m_{W^+}", "linear"),
)


def figure() -> Figure:
    """Mean of the members on bootstrap samples of one training set; bands in the ratios: their
    standard deviation, noise of n_gen included.

    Ratios out of range are small triangles at the edge; a bin where no event was generated has no
    ratio in range.
    """
    data, shown = generators()
    fig = Figure(figsize=(7.0, 8.0), layout="constrained")
    grid = fig.subplots(6, 2, height_ratios=[3, 1, 1] * 2)
    for k, (name, symbol, scale) in enumerate(PANELS):
        top, *below = grid[3 * (k // 2) : 3 * (k // 2) + 3, k % 2]
        truth = data["histograms"][name]
        edges, true = floats(truth["edges"]), floats(truth["truth"])
        shares = [(m["cut"]["histograms"][name], look) for m, look in shown]
        _distribution(top, edges, true, shares, logarithmic=scale == "log")
        top.set_ylabel(rf"$1/N\; {{\rm d}}N/{{\rm d}}{symbol}$ [1/GeV]", fontsize=9)
        ratios = [(_ratio(share, true), look) for share, look in shares]
        reach = _reach([r for r, _ in ratios], true)
        for axis, pair in zip(below, (ratios[:2], ratios[2:]), strict=True):
            _ratios(axis, edges, pair, reach)
            axis.set_ylabel("gen. / true", fontsize=8.5)
            axis.tick_params(axis="y", labelsize=8.5)
        for axis in (top, *below):
            axis.set_xlim(edges[0], edges[-1])
            axis.tick_params(labelbottom=axis is below[-1])
        below[-1].set_xlabel(rf"${symbol}$ [GeV]")
    title = "top pairs after the cuts; lines and bands: mean and spread of bootstrap members"
    legend_above(fig, grid[0, 0], title=title, ncols=5, fontsize=9, handlelength=3)
    return fig


def _distribution(
    axis: Axes,
    edges: np.ndarray,
    true: np.ndarray,
    shares: list[tuple[dict[str, Any], Look]],
    *,
    logarithmic: bool,
) -> None:
    width = np.diff(edges)
    axis.stairs(true / width, edges, fill=True, color=FILL, label="true events")
    for k, (share, look) in enumerate(shares):
        density = floats(share["mean"]) / width
        positive = np.where(density > 0, density, np.nan)
        style = {"color": look.color, "marker": look.marker, "label": look.label}
        # markers take turns: each generator's in every fourth bin
        style |= {"lw": 1.2, "ms": 3.5, "markevery": (k, 4)}
        axis.plot(edges[:-1] + width / 2, positive, look.line, **style)
    if logarithmic:
        low, high = np.min((true / width)[true > 0]), np.max(true / width)
        axis.set(yscale="log", ylim=(0.4 * low, 2.5 * high))
    else:
        axis.set_ylim(0, 1.15 * np.max(true / width))


def _ratio(share: dict[str, Any], true: np.ndarray) -> np.ndarray:
    """Mean and spread over truth [2, bin]; nan where there is no truth."""
    both = np.stack([floats(share["mean"]), floats(share["spread"])])
    return np.divide(both, true, out=np.full_like(both, np.nan), where=true > 0)


def _reach(ratios: list[np.ndarray], true: np.ndarray) -> float:
    """How far ratio axes go from one: nine of ten bins that are not nearly empty are within."""
    ends = [np.abs(mean - 1) + spread for mean, spread in (r[:, true > 0.003] for r in ratios)]
    return float(np.clip(np.nanquantile(np.concatenate(ends), 0.9), 0.15, 0.6))


def _ratios(
    axis: Axes, edges: np.ndarray, pair: list[tuple[np.ndarray, Look]], reach: float
) -> None:
    """Two generators: one with a filled band, one with a hatched one."""
    centres = (edges[:-1] + edges[1:]) / 2
    for k, ((mean, spread), look) in enumerate(pair):
        filled = {"color": look.color, "alpha": 0.22, "lw": 0}
        hatched = {"facecolor": "none", "edgecolor": look.color, "hatch": "/////"}
        band = hatched | {"alpha": 0.55, "lw": 0} if k else filled
        axis.fill_between(centres, mean - spread, mean + spread, step="mid", **band)
        style = {"color": look.color, "marker": look.marker, "ms": 3, "lw": 1.1}
        axis.plot(centres, mean, look.line, **style, markevery=(k, 2))
        outside = {"color": look.color, "mfc": "white" if k else look.color, "ms": 3, "mew": 0.7}
        for edge, marker, out in (
            (1 + 0.93 * reach, "^", mean > 1 + reach),
            (1 - 0.93 * reach, "v", mean < 1 - reach),
        ):
            axis.plot(centres[out], np.full(out.sum(), edge), marker, **outside)
    axis.axhline(1, color=INK, lw=0.8)
    axis.set_ylim(1 - reach, 1 + reach)
