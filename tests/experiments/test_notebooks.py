"""The notebooks run as they are, in a folder of their own, without a warning; what they show is not
stored.
"""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

REPOSITORY = Path(__file__).parents[2]
NOTEBOOKS = sorted((REPOSITORY / "experiments" / "notebooks").glob("*.ipynb"))

# runs before the first cell: warnings are errors, and nothing is written, made, moved or removed
# inside the repository
GUARD = """
import os, sys, warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", module="ipykernel")  # of the kernel about itself

VERBS = "mkdir rename remove rmdir link symlink".split()

def _guard(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        changed = [path] if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else []
    else:
        written = event in {f"os.{verb}" for verb in VERBS}
        changed = [a for a in arguments if isinstance(a, (str, bytes))] if written else []
    for path in changed:
        if not isinstance(path, int) and os.path.abspath(os.fsdecode(path)).startswith(REPOSITORY):
            raise PermissionError(f"a notebook wrote to {path}")

sys.addaudithook(_guard)
"""


def test_there_are_three_notebooks():
    names = [path.stem for path in NOTEBOOKS]
    assert names == ["my_generator", "new_estimator", "reading_a_report"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert 0 < len(code) <= 12
    for cell in code:
        assert not cell.outputs and cell.execution_count is None and not cell.metadata
    assert str(Path.home()) not in path.read_text() and "/tmp" not in path.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    notebook = nbformat.read(path, as_version=4)
    guard = nbformat.v4.new_code_cell(
        f"REPOSITORY = {str(REPOSITORY) + os.sep!r}" + GUARD, id="guard"
    )
    notebook.cells.insert(0, guard)
    (tmp_path / "work").mkdir()
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path / "work")}},
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not any("Warning" in output.get("text", "") for output in outputs)
    assert not list((tmp_path / "work").iterdir())
