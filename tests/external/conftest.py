"""Where generators of the tests live, and time that passes when it should."""

import sys
import time
from types import SimpleNamespace

import pytest

from amplify.external import attended, process
from tests.external.generators import GENERATORS


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory whose modules can be imported, here and in workers; calls are
    counted in it.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "gen.py").write_text(GENERATORS)
    yield tmp_path
    for name in ("broken", "gen", "mixed", "needs", "some", "syntax", "value"):
        sys.modules.pop(name, None)


@pytest.fixture
def out_of_time_when(monkeypatch):
    """`out_of_time_when(happened)`: for the supervisor no time passes until something has happened,
    then every time limit is over. No limit is too short for a busy machine.
    """

    def start(happened):
        clock = SimpleNamespace(sleep=time.sleep, monotonic=lambda: 1e9 if happened() else 0.0)
        for module in (process, attended):
            monkeypatch.setattr(module, "time", clock)

    return start
