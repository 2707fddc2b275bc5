"""`python -m paper_figures fig04 [fig05 ...]` or `all`: draws figures into
paper_figures/output/.
"""

import importlib
import sys
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import tyro

from amplify.plots.looks import STYLE
from experiments import study

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("fig*.py"))


def draw(name: str, out: Path) -> list[Path]:
    """Draws one figure as PDF and PNG."""
    out.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure = importlib.import_module(f"paper_figures.{name}").figure()
        paths = [out / f"{name}.{suffix}" for suffix in ("pdf", "png")]
        for path in paths:
            figure.savefig(path, dpi=200)
    return paths


def main(figures: Annotated[list[str], tyro.conf.Positional], out: Path = HERE / "output") -> None:
    """Draws figures from recorded results.

    Args:
        figures: fig01 to fig16, or all.
        out: directory for PDF and PNG files.
    """
    unknown = [name for name in figures if name not in (*NAMES, "all")]
    if unknown or not figures:
        expected, got = f"one of {', '.join(NAMES)}, all", ", ".join(unknown) or "none"
        line = f"error: figure: expected {expected}; got {got}; choose from the list"
        print(line, file=sys.stderr)
        sys.exit(2)
    for name in NAMES if "all" in figures else figures:
        print(*draw(name, out), sep="\n")


if __name__ == "__main__":
    study.run(main)
