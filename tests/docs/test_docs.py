"""The documentation and the README: their code runs as written, their links lead somewhere, and
what the code cites is there.

Python blocks of a page run top to bottom in one namespace and one scratch folder; its commands run
after them, on the files that they wrote. A block whose first line names a file is that file.
"""

import importlib.util
import re
import shlex
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from amplify.cli import main
from tests.docs.pages import DOCS, REPOSITORY, anchor, blocks, headings, prose, written_pages
from tests.test_architecture import ORDER

PAGES = {str(page.relative_to(REPOSITORY)): page for page in written_pages()}
QUICK = ("docs/reading_a_report.md",)  # the others train and draw for half a minute
WITH_CODE = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name, page in PAGES.items()
    if name != "docs/extending.md"  # whose files test_extending.py runs
    and any(block.language == "python" for block in blocks(page))
]
SHORT_LINKS = re.compile(r"\]\(([^)\s]+)\)")
CITATION = re.compile(r"\bdocs/(\w+)(?:\.md)?(?![\w/]|\.\w)(?:, (?=[A-Z]))?")


def _commands(page):
    """Lines of shell blocks that call amplify, without those that train for a minute."""
    for block in blocks(page):
        if block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["amplify"] and words[1:2] not in (["demo"], ["ttbar"]):
                    assert "|" not in words, f"{page.name}: a pipe is not tested"
                    yield [name for word in words[1:] for name in _expanded(word)]


def _expanded(word):
    """As a shell does it; an expression of columns stood in quotes."""
    names = sorted(map(str, Path().glob(word))) if re.fullmatch(r"[\w./]*[*?][\w./]*", word) else []
    return names or [word]


@pytest.mark.parametrize("name", WITH_CODE)
def test_code_of_a_page_runs_as_written(name, tmp_path, monkeypatch, capsys):
    if "torch" in "".join(
        block.text for block in blocks(PAGES[name]) if block.language == "python"
    ):
        pytest.importorskip("torch").set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    plt.switch_backend("agg")
    namespace = {"__name__": "__main__"}
    for block in blocks(PAGES[name]):
        if block.file:
            Path(block.file).write_text(block.text)
        elif block.language == "python":
            lines = "\n" * (block.line - 1) + block.text  # so that a traceback has the page's lines
            exec(compile(lines, name, "exec"), namespace)
    for words in _commands(PAGES[name]):
        main(words)
    plt.close("all")
    assert "Warning" not in capsys.readouterr().err


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    page, broken = PAGES[name], []
    for link in SHORT_LINKS.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, place = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if target.suffix == ".ipynb" and target.parent == DOCS / "notebooks":
            target = REPOSITORY / "experiments" / "notebooks" / target.name
        there = target.exists() and target.is_relative_to(REPOSITORY)
        if not there or (place and place not in map(anchor, headings(target))):
            broken.append(link)
    assert not broken


def _cited():
    """(file, page, what follows a comma) of every citation in the code."""
    for folder in ("amplify", "experiments", "paper_figures", "tests"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            if path.is_relative_to(REPOSITORY / "tests" / "docs"):
                continue
            text = re.sub(r"\s+(# )?", " ", path.read_text())  # citations run over lines
            for match in CITATION.finditer(text):
                title = text[match.end() : match.end() + 60] if match[0].endswith(" ") else ""
                yield str(path.relative_to(REPOSITORY)), match[1], title


def test_citations_of_the_code_are_there():
    cited, wrong = list(_cited()), []
    for path, page, title in cited:
        target = DOCS / f"{page}.md"
        if not target.is_file():
            wrong.append(f"{path}: no page docs/{page}")
        elif title and not any(title.startswith(heading) for heading in headings(target)):
            wrong.append(f"{path}: docs/{page} has no section {title}")
    assert not wrong
    assert len(cited) > 30 and {"method", "top_pairs", "architecture"} <= {c[1] for c in cited}


def test_nothing_cites_notes_that_are_not_in_the_repository():
    notes = re.compile(r"\b(method|ttbar|design|findings|field)\.md\b|\.\./shared")
    found = []
    for path in REPOSITORY.rglob("*"):
        if path.suffix in (".py", ".md", ".toml", ".ipynb", ".cff") and path.name != "test_docs.py":
            text = path.read_text()
            found += [
                f"{path.relative_to(REPOSITORY)}: {match[0]}"
                for match in notes.finditer(text)
                if not text[: match.start()].endswith(("docs/", "]("))
            ]
    assert not found


def test_the_rooms_stand_in_their_order():
    text = (DOCS / "architecture.md").read_text()
    section = text.partition("## The rooms")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.M) == list(ORDER)


def test_places_named_by_the_architecture_page_exist():
    text = (DOCS / "architecture.md").read_text()
    named = re.findall(r"`((?:\w+/)+(?:\w+\.\w+)?|\w+\.(?:py|toml|txt))`", text)
    roots = REPOSITORY / "amplify", REPOSITORY
    assert len(named) > 30
    assert not [place for place in named if not any((root / place).exists() for root in roots)]


def test_every_room_has_its_page_of_the_reference():
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    index = blocks(DOCS / "api" / "index.md")[-1].text
    assert re.findall(r"^\w+$", index, re.M) == reference.ROOMS
    unnamed = {"text", "version", "namespace", "storage", "sealed", "locks", "stops"}
    unnamed |= {
        "progress",
        "commands",
        "cli",
        "__main__",
        "examples",
    }  # for people, or nobody's business
    assert set(reference.ROOMS) == set(ORDER) - unnamed


def test_pages_name_no_place_of_one_machine():
    for page in PAGES.values():
        assert not re.search(r"(?<![\w.])/(home|root|work|tmp)/", page.read_text()), page.name


def test_the_readme_is_one_page():
    assert (REPOSITORY / "README.md").stat().st_size <= 7_000


@pytest.mark.parametrize("name", PAGES)
def test_formulas_are_closed(name):
    """A line that begins with + or - ends a paragraph, and a formula in it is lost."""
    text = re.sub(r"\$\$.*?\$\$", "", prose(PAGES[name]), flags=re.S)
    paragraphs = re.split(r"\n\s*\n|\n(?=\s*(?:[-+*] |\d+\. |\|))", text)
    assert not [p for p in paragraphs if len(re.findall(r"(?<!\\)\$", p)) % 2]
