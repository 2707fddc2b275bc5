"""How every picture looks: colours, styles, ticks and legends that stay legible at column width,
without colour, and on grey paper.
"""

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

INK, ACCENT, GREY = "#1b1f24", "#0b5fa5", "#7a828c"
WIDTH = 9.5  # inches; fills the page with letters of the size of its text
# marker, line, colour: curves differ in all three
LOOKS: tuple[tuple[str, Any, str], ...] = (
    ("o", "-", ACCENT),
    ("s", "--", INK),
    ("^", "-.", GREY),
    ("D", ":", ACCENT),
    ("v", (0, (5, 1, 1, 1)), INK),
    ("P", (0, (1, 3)), GREY),
)

Rc = dict[Any, Any]  # the types of matplotlib's keys differ between its versions
STYLE: Rc = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "amplify",
}
# on the page ticks point inwards on all four sides, as the field draws them
PAGE_STYLE: Rc = STYLE | {
    "axes.spines.top": True,
    "axes.spines.right": True,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "svg.fonttype": "none",
}
# text stays text in a PDF; an SVG looks the same whatever fonts its reader has
_VECTORS: Rc = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "path"}
_MPLHEP_SIZE = 26  # points of the letters that lengths and widths of mplhep's style go with


@contextmanager
def style(size: float = 10) -> Iterator[None]:
    """The field's look for what is drawn and saved inside: mplhep's ROOT style where that package
    is installed, ours where it is not.

    Pictures that make their own axes are drawn in it anyway; use it around `savefig`, for text that
    stays text in a PDF, and around axes of your own.

    Args:
        size: of the letters, in points; mplhep's ticks and lines shrink with them.

    >>> import matplotlib as mpl
    >>> with style(size=8):
    ...     mpl.rcParams["font.size"], mpl.rcParams["pdf.fonttype"], mpl.rcParams["xtick.direction"]
    (8.0, 42, 'in')
    """
    try:
        chosen = _of_mplhep(import_module("mplhep").style.ROOT, size)
    except ImportError:
        chosen = PAGE_STYLE
    settings: Rc = chosen | _VECTORS | {"font.size": size}
    with mpl.rc_context(settings):
        yield
        interactive = mpl.is_interactive()
    # a notebook's first figure loads its backend, which switches this on
    mpl.interactive(interactive)


@contextmanager
def page_style(*, alone: bool = False) -> Iterator[None]:
    """The look of the report page, whatever the settings of the user who draws it.

    Args:
        alone: for a file of its own, that no browser with fonts stands around.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(PAGE_STYLE | (_VECTORS if alone else {}))
        yield


def _of_mplhep(theirs: Mapping[str, Any], size: float) -> Rc:
    """Their style for letters of another size; letters that their font lacks come from ours."""
    scaled: Rc = {"hatch.linewidth": 0.6, "svg.hashsalt": "amplify"}
    for key, value in theirs.items():
        if key.endswith((".size", ".width", ".pad", ".linewidth")) and key != "font.size":
            scaled[key] = value * size / _MPLHEP_SIZE
        elif key != "figure.figsize":
            scaled[key] = value
    scaled["font.family"] = [*theirs.get("font.sans-serif", [])[:1], "DejaVu Sans"]
    return scaled


def new_figure(size: tuple[float, float], layout: Any = "constrained") -> Figure:
    """A figure of this size in inches: pyplot's, which shows itself, where pyplot is in use or a
    notebook runs; else one that only its axes know.
    """
    if "matplotlib.pyplot" in sys.modules or "ipykernel" in sys.modules:
        figure: Figure = import_module("matplotlib.pyplot").figure(figsize=size, layout=layout)
        return figure
    return Figure(figsize=size, layout=layout)


@contextmanager
def axes_or_new(ax: Axes | None, size: tuple[float, float]) -> Iterator[Axes]:
    """The axes that were given, untouched, or those of a new figure in the field's style."""
    if ax is not None:
        yield ax
        return
    with style():
        made = new_figure(size).add_subplot()
        yield made
        keep_ticks(made)


def keep_ticks(ax: Axes) -> None:
    """Matplotlib makes ticks when it draws, in the style of that moment: these keep today's."""
    rc: Any = mpl.rcParams
    names: tuple[tuple[Literal["x", "y"], tuple[str, str]], ...] = (
        ("x", ("top", "bottom")),
        ("y", ("left", "right")),
    )
    for name, sides in names:
        shown = {side: rc[f"{name}tick.{side}"] for side in sides}
        family: Any = list(rc["font.family"])
        for which in ("major", "minor"):
            ax.tick_params(
                axis=name,
                which=which,
                direction=rc[f"{name}tick.direction"],
                length=rc[f"{name}tick.{which}.size"],
                width=rc[f"{name}tick.{which}.width"],
                labelfontfamily=family,
                **shown,
            )


def plain(label: str, most: int = 48) -> str:
    """A user's label as it is, shortened in the middle: matplotlib would read dollars as
    formulas.
    """
    label = " ".join("".join(c if c.isprintable() else " " for c in label).split())
    if len(label) > most:
        label = f"{label[: most // 2]}…{label[-(most // 2 - 1) :]}"
    return label.replace("$", r"\$")


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power(value: float) -> str:
    """A number as the field writes it at a logarithmic axis of many decades.

    >>> power(0.1), power(1), power(10), power(1e6), power(5e-5)
    ('10⁻¹', '1', '10', '10⁶', '5·10⁻⁵')
    """
    if value <= 0 or 0.99 < value < 100:
        return f"{value:g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    ten = "10" + str(exponent).translate(_RAISED)
    digits = f"{value / 10.0**exponent:.3g}"
    return ten if digits == "1" else f"{digits}·{ten}"


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Plain numbers, or powers of ten where some would be long; where few decades are shown also
    at 2 and 5.
    """
    write = power if low < 1e-4 or high > 1e5 else "{:g}".format
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    few = FuncFormatter(lambda value, _: write(value) if f"{value:e}"[0] in "25" else "")
    axis.set_minor_formatter(few if high < 60 * low else NullFormatter())


def legend_above(ax: Axes, ncols: int, **settings: Any) -> None:
    """A legend above the axes, where it covers no data."""
    ax.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=ncols,
        frameon=False,
        borderaxespad=0.2,
        **settings,
    )


def inches(ax: Axes) -> tuple[float, float]:
    """Width and height of the axes."""
    dpi = ax.figure.dpi
    return float(ax.bbox.width / dpi), float(ax.bbox.height / dpi)
