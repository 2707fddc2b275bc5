"""What the pages of the documentation hold: code, links, headings."""

import re
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"

_FENCE = re.compile(r"^(?P<marks>`{3,})(?P<info>[^\n]*)\n(?P<text>.*?)^(?P=marks) *$", re.M | re.S)
_FILE = re.compile(r"# ([\w/]+\.py)\n")


class Block(NamedTuple):
    """A fenced block: its language, its text, the line it begins in, and the file that its first
    line names, if one: such a block is that file.
    """

    language: str
    text: str
    line: int
    file: str | None


def written_pages() -> list[Path]:
    """Pages that somebody wrote; not those that are made when the documentation is built."""
    made = {"contributing.md", "changelog.md"}
    docs = [page for page in DOCS.glob("*.md") if page.name not in made]
    others = [DOCS / "api" / "index.md", DOCS / "notebooks" / "index.md"]
    return sorted([*REPOSITORY.glob("*.md"), *docs, *others])


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in their order."""
    text = page.read_text()
    found = []
    for match in _FENCE.finditer(text):
        code = match["text"]
        named = _FILE.match(code)
        line = text.count("\n", 0, match.start("text")) + 1
        found.append(Block(match["info"].strip(), code, line, named[1] if named else None))
    return found


def prose(page: Path) -> str:
    """The text without fenced blocks, code in backticks and comments."""
    text = _FENCE.sub("", page.read_text())
    return re.sub(r"<!--.*?-->|`[^`\n]*`", "", text, flags=re.S)


def headings(page: Path) -> list[str]:
    """Titles of all sections."""
    return re.findall(r"^#{1,6} +(.+?) *$", _FENCE.sub("", page.read_text()), re.M)


def anchor(title: str) -> str:
    """How a link names a heading, on GitHub and here."""
    kept = re.sub(r"[^\w\- ]", "", title.replace("`", "").lower())
    return kept.strip().replace(" ", "-")
