"""Samples of known densities in files, and a page that is not drawn."""

import numpy as np
import pytest

from tests.commands.samples import draw_events, save


@pytest.fixture
def page():
    """For tests that draw the page."""


@pytest.fixture(autouse=True)
def drawing_takes_a_second(request):
    if "page" not in request.fixturenames:
        request.getfixturevalue("no_page")


@pytest.fixture(scope="session")
def truth(tmp_path_factory):
    """The files of the closed form: 300000 generated events of N(.1, 1), 20000 true ones of N(0,
    1).
    """
    directory, rng = tmp_path_factory.mktemp("truth"), np.random.default_rng(11)
    generated = save(directory / "gen.npz", draw_events(rng, 300_000, 0.1))
    return generated, save(directory / "holdout.npz", draw_events(rng, 20_000))


@pytest.fixture
def small(tmp_path):
    """A small pair of samples in x0, x1, t."""
    rng = np.random.default_rng(12)
    generated = save(tmp_path / "gen.npz", draw_events(rng, 4000, 0.1))
    return generated, save(tmp_path / "holdout.npz", draw_events(rng, 1000))


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Runs in a directory of its own, so that nothing can be written unseen."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
