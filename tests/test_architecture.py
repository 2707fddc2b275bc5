"""Data flows one way: imports point only downward in the order of the rooms, the list of docs/architecture."""

import ast
from pathlib import Path

import amplify

ROOT = Path(amplify.__file__).parent
# a room may import itself and whatever stands before it
ORDER = (
    "errors text version namespace types storage devices progress truth ttbar tables nets generators sampling training "
    "external regions integrals summaries estimators results analysis plots report commands cli __main__ "
    "examples"
).split()
LEVEL = {room: level for level, room in enumerate(ORDER)}


def _imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.split(".")[0] == "amplify"
        ):
            found += (
                [node.module.split(".")[1]]
                if "." in node.module
                else [name.name for name in node.names]
            )
        elif isinstance(node, ast.Import):
            found += [
                name.name.split(".")[1] for name in node.names if name.name.startswith("amplify.")
            ]
    return [name for name in found if name in LEVEL]


def test_imports_point_downward():
    wrong = []
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room != "__init__":
            wrong += [
                f"{path.relative_to(ROOT)} imports {other}"
                for other in _imports(path)
                if LEVEL[other] > LEVEL[room]
            ]
    assert not wrong


def test_estimators_know_nothing_of_generators():
    for path in (ROOT / "estimators").glob("*.py"):
        assert not set(_imports(path)) & {
            "generators",
            "training",
            "external",
            "nets",
            "sampling",
            "summaries",
        }


def test_linen_stays_in_nets():
    for path in ROOT.rglob("*.py"):
        assert "flax" not in path.read_text() or path.parent.name == "nets", path
