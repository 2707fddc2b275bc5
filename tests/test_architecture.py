"""Data flows one way: imports point only downward in the order of the rooms, which
docs/architecture states in the same words; no two files import each other.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import amplify

ROOT = Path(amplify.__file__).parent
# a room may import itself and whatever stands before it
ORDER = """
errors text version namespace types storage sealed locks stops devices distributed progress engine
truth ttbar tables regions latents nets generators sampling training
external integrals summaries estimators results analysis plots report
commands cli __main__ examples
""".split()  # noqa: SIM905  it is read as a list
LEVEL = {room: level for level, room in enumerate(ORDER)}
FILES = sorted(ROOT.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(path) for path in FILES}


def imported(path: Path, *, only_at_import: bool = False) -> Iterator[str]:
    """Modules of amplify that a file imports, without the package's name."""
    tree = ast.parse(path.read_text())
    nodes = list(_at_import(tree.body)) if only_at_import else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "amplify":
            module = (node.module or "").removeprefix("amplify").lstrip(".")
            for name in node.names:
                inner = f"{module}.{name.name}".lstrip(".")
                yield inner if inner in MODULES else module
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.startswith("amplify."):
                    yield name.name.removeprefix("amplify.")


def _at_import(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """What runs when the file is imported: not inside functions, nor for type checkers alone."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from _at_import(node.body)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_downward(path):
    room = module_of(path).split(".")[0]
    if not room:
        return  # the package names everything
    assert room in LEVEL, f"{room} is not in the order of the rooms"
    rooms = {module.split(".")[0] for module in imported(path)}
    assert not {other for other in rooms if LEVEL[other] > LEVEL[room]}


def test_no_circle_is_left():
    """Type checkers may look back, the running program may not."""
    graph = {
        module_of(path): set(imported(path, only_at_import=True)) - {module_of(path)}
        for path in FILES
    }
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join([*way, module])
        if module not in done:
            for other in graph.get(module, ()):
                visit(other, (*way, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_estimators_know_nothing_of_generators():
    above = {"generators", "training", "external", "nets", "sampling", "summaries"}
    for path in (ROOT / "estimators").glob("*.py"):
        assert not {module.split(".")[0] for module in imported(path)} & above


def test_linen_stays_in_nets():
    for path in FILES:
        assert "flax" not in path.read_text() or path.parent.name == "nets", path


def test_every_public_name_and_room_is_there():
    assert dir(amplify) == sorted(amplify.__all__)
    for name in amplify.__all__:
        assert getattr(amplify, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'amplification'"):
        amplify.amplification  # noqa: B018
    rooms = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert rooms - set(amplify.__all__) == {"commands", "examples"}


def _loaded_by(code: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


def test_imports_are_lazy():
    """Import time is what users feel first; counted in modules, not by the clock."""
    heavy = {"jax", "numpy", "scipy", "matplotlib", "tyro", "rich"}
    assert not _loaded_by("import amplify") & heavy
    assert not _loaded_by("import amplify; amplify.plots, amplify.__version__") & heavy
    assert not _loaded_by("import amplify.cli") & (heavy - {"tyro", "numpy"})
    assert not _loaded_by("import amplify; amplify.averaging") & (heavy - {"numpy", "scipy"})
