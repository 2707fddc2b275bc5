"""`python -m paper_figures fig04 [fig05 ...]` or `all`: draws figures into
paper_figures/output/.
"""

import importlib
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

import matplotlib as mpl
import tyro

from amplify.plots.looks import STYLE
from experiments import study
from paper_figures.recorded import rerun as run_again
from paper_figures.top import drawn

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("fig*.py"))


def draw(name: str, out: Path, kinds: tuple[str, ...] = ("pdf", "png")) -> list[Path]:
    """Draws one figure, as PDF and PNG unless other kinds are given."""
    out.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure = importlib.import_module(f"paper_figures.{name}").figure()
        paths = [out / f"{name}.{suffix}" for suffix in kinds]
        for path in paths:
            figure.savefig(path, dpi=200)
    return paths


def main(
    figures: Annotated[list[str], tyro.conf.Positional],
    out: Path = HERE / "output",
    rerun: Literal["quick", "full"] | None = None,
    data: Path | None = None,
    top_pairs: Literal["ttbar", "ttbar_gpu"] = "ttbar",
) -> None:
    """Draws figures from recorded results, or from results that are made again.

    Args:
        figures: fig01 to fig23, or all.
        out: directory for PDF and PNG files.
        rerun: run the studies that these figures need with this preset, into
            amplify-runs/<study>-<preset>/, and draw from those; what is recorded stays as it is,
            and finished parts of an earlier run are used again.
        data: with --rerun, events of top pairs from `amplify ttbar`; simulated if missing.
        top_pairs: which recorded study figures 11 to 15 show: ttbar_gpu is that of larger networks
            and ten times the events, trained on a graphics card.
    """
    unknown = [name for name in figures if name not in (*NAMES, "all")]
    if unknown or not figures:
        expected, got = f"one of {', '.join(NAMES)}, all", ", ".join(unknown) or "none"
        line = f"error: figure: expected {expected}; got {got}; choose from the list"
        print(line, file=sys.stderr)
        sys.exit(2)
    with drawn(top_pairs), nullcontext() if rerun is None else run_again(rerun, data):
        for name in NAMES if "all" in figures else figures:
            started = time.perf_counter()
            print(*draw(name, out), sep="\n")
            if rerun is not None:
                print(f"    {name}: {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    study.run(main)
