"""What is made when the documentation is built: the API reference, a page for each room from the
docstrings of its modules, so that none can be forgotten; and copies of pages that stand elsewhere,
because sphinx reads nothing outside its own folder. A local extension of sphinx; see conf.py.
"""

import re
import shutil
from pathlib import Path
from typing import Any

import amplify

PACKAGE = Path(amplify.__file__).parent
DOCS = Path(__file__).parent
REPOSITORY = DOCS.parent
NOTEBOOKS = REPOSITORY / "experiments" / "notebooks"
COPIES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
ROOMS = ["truth", "ttbar", "tables", "nets", "generators", "latents", "sampling", "training"]
ROOMS += ["external", "regions", "integrals", "summaries", "estimators", "results", "analysis"]
ROOMS += ["plots", "report", "engine", "devices", "distributed", "types", "errors"]

_HEAD = "# {title}\n\n```{{eval-rst}}\n"
_MODULE = ".. automodule:: amplify.{module}\n   :members:\n"

_SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields|Example|Examples|Note):")
_TITLES = [
    title
    for page in ("method", "top_pairs", "architecture")
    for title in re.findall(r"^## (\w.*)$", (DOCS / f"{page}.md").read_text(), re.M)
]
_CITATION = re.compile(rf"\bdocs/([a-z]\w*)(?:, ({'|'.join(map(re.escape, _TITLES))}))?")
# what types are called in the source
_NAMES = {
    r"~?jaxtyping\.": "",
    r"~?jaxlib\._jax\.Array": "Array",
    r"~?numpy\.ndarray": "ndarray",
    r"Key\[Array, ''\] \| UInt32\[Array, '2'\] \| UInt32\[Array, '4'\]": "PRNGKeyArray",
    r"Float\[Array, ('[^']*')\] \| Float\[ndarray, \1\]": r"Float[ArrayLike, \1]",
}


def write_reference() -> None:
    """Writes one page for each room, and one that lists the public names."""
    pages = {room: _room(room) for room in ROOMS} | {"names": _names()}
    for name, text in pages.items():
        _write(DOCS / "api" / f"{name}.md", text)
    for path in (DOCS / "api").glob("*.md"):
        if path.stem not in {*pages, "index"}:
            path.unlink()  # of a room that is gone


def copy_pages() -> None:
    """Copies the pages of the repository and the notebooks."""
    for name, copy in COPIES.items():
        if (REPOSITORY / name).exists():
            _write(DOCS / copy, (REPOSITORY / name).read_text().replace("](docs/", "]("))
    for notebook in NOTEBOOKS.glob("*.ipynb"):
        copy = DOCS / "notebooks" / notebook.name
        if not copy.exists() or copy.read_bytes() != notebook.read_bytes():
            shutil.copyfile(notebook, copy)


def link_to_copies(app: Any, page: str, source: list[str]) -> None:
    """Pages link to files where they are in the repository."""
    root = "../" * page.count("/")
    for name, copy in COPIES.items():
        source[0] = source[0].replace(f"](../{root}{name}", f"]({root}{copy}")
        source[0] = source[0].replace(f"]({name}", f"]({copy}")
    notebooks = f"](../{root}experiments/notebooks/"
    source[0] = source[0].replace(notebooks, f"]({root}notebooks/")


def _write(path: Path, text: str) -> None:
    """Writes what has changed: sphinx reads only that again."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _room(room: str) -> str:
    """A module as it is; a package with a section for each of its modules."""
    if (PACKAGE / f"{room}.py").exists():
        return _HEAD.format(title=room) + _MODULE.format(module=room) + "```\n"
    text = _HEAD.format(title=room) + f".. automodule:: amplify.{room}\n```\n"
    for path in sorted((PACKAGE / room).rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not re.search(r"^(def|class) [^_]", path.read_text(), re.M):
            continue
        if module == room:
            text = text.replace(f"amplify.{room}\n", f"amplify.{room}\n   :members:\n", 1)
        else:
            text += f"\n## {module}\n\n```{{eval-rst}}\n{_MODULE.format(module=module)}```\n"
    return text


def _names() -> str:
    """Public names with the first sentence of their docstrings, in the order of the pipeline."""
    lines = [f"   ~{getattr(amplify, name).__module__}.{name}" for name in amplify._HOMES]
    return "\n".join(["```{eval-rst}", ".. autosummary::", "", *lines, "```", ""])


def plain_text(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: |pull| is a magnitude, x**2 is no bold type, and what is indented
    after an empty line is a formula or an example that stays as it is.
    """
    text: list[str] = []
    literal, before = False, ""
    for line in lines:
        indented = line.startswith("    ")
        opens = indented and not literal and text and not text[-1] and before.strip()
        if opens and not before.startswith((" ", ">>>")) and not _SECTION.fullmatch(before):
            text += ["::", ""]
            literal = True
        literal = literal and (indented or not line)
        as_it_is = literal or line.lstrip().startswith((">>>", "..."))
        text.append(line if as_it_is else _escaped(line))
        before = line if line.strip() else before
    lines[:] = text


def _escaped(line: str) -> str:
    """Without marks of bold type and substitutions, but in code; citations become links."""
    parts = re.split(r"(`+[^`]*`+)", line)
    plain = [p if p.startswith("`") else re.sub(r"([*|])", r"\\\1", p) for p in parts]
    return "".join(p if p.startswith("`") else _CITATION.sub(_link, p) for p in plain)


def _link(citation: re.Match[str]) -> str:
    """A link to the page that is cited, or to its section, from the pages of rooms."""
    page, title = citation[1], citation[2]
    place = "#" + title.lower().replace(" ", "-") if title else ""
    return f"`{citation[0]} <../{page}.html{place}>`__"


def short_types(
    app: Any, what: str, name: str, thing: Any, options: Any, signature: str | None, result: Any
) -> tuple[str | None, Any]:
    """Shapes as they are written in the source."""
    texts = [signature, result]
    for pattern, short in _NAMES.items():
        texts = [re.sub(pattern, short, t) if isinstance(t, str) else t for t in texts]
    return texts[0], texts[1]


def skip_fields(
    app: Any, what: str, name: str, member: Any, skip: bool, options: Any
) -> bool | None:
    """Fields of NamedTuples are described in the docstring of their class."""
    return True if type(member).__name__ == "_tuplegetter" else None


def setup(app: Any) -> dict[str, bool]:
    """Connects to sphinx; docstrings come here before napoleon reads their sections."""
    copy_pages()
    write_reference()
    app.connect("source-read", link_to_copies)
    app.connect("autodoc-process-docstring", plain_text, priority=400)
    app.connect("autodoc-process-signature", short_types)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True}
