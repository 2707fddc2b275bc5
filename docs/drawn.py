"""Draws the figures of the gallery from recorded results when the documentation is built; those
that are newer than what they are drawn from stay. A local extension of sphinx; see conf.py.
"""

from pathlib import Path
from typing import Any

from paper_figures.__main__ import HERE, NAMES, draw

PICTURES = Path(__file__).parent / "pictures"


def draw_figures() -> None:
    """PNG files into docs/pictures/."""
    sources = [*HERE.glob("*.py"), *(HERE / "results").glob("*.json")]
    changed = max(path.stat().st_mtime for path in sources)
    for name in NAMES:
        picture = PICTURES / f"{name}.png"
        if not picture.exists() or picture.stat().st_mtime < changed:
            draw(name, PICTURES, ("png",))


def setup(app: Any) -> dict[str, bool]:
    """Called by sphinx before it reads the pages."""
    draw_figures()
    return {"parallel_read_safe": True}
