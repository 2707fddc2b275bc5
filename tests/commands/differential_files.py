"""What the tests of `amplify differential` share: samples of known densities in files, calls, and
what an error looks like.
"""

import json

import numpy as np
import pytest

from amplify.cli import main

KEYS = "method region summary members n_train n_gen n_holdout integral sigma_stat sigma_model distance n_equiv n_equiv_interval level amplification"
N_EQUIV, N_EQUIV_IN_X = (
    474.58,
    1421.10,
)  # N(.1, 1) in the exact ratio, N(0, 1.1) in x (method.md section 6)


def no_constant(text):
    raise AssertionError(f"{text} in results.json")


def read(directory):
    return json.loads((directory / "results.json").read_text(), parse_constant=no_constant)


def call(generated, holdout, *more, n_train=1000):
    return [
        "differential",
        "--generated",
        str(generated),
        "--holdout",
        str(holdout),
        "--n-train",
        str(n_train),
        *map(str, more),
    ]


def run(out, generated, holdout, *more, n_train=1000):
    main([*call(generated, holdout, *more, n_train=n_train), "--out", str(out)])
    return read(out)


def fails(capsys, *arguments):
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert (
        captured.out == "" and captured.err.count("\n") == 1 and captured.err.startswith("error: ")
    ), captured.err
    return captured.err


def fails_as(capsys, words, *arguments):
    """One line that names `words` and has all its parts."""
    line = fails(capsys, *arguments)
    assert words in line and ": expected " in line and ", got " in line and "; " in line, line


def draw_events(rng, n, shift=0.0, width=1.0):
    """x0 from N(shift, width), x1 from N(0, 1), t the exact log-ratio of N(.1, 1) and N(0, 1)."""
    x = rng.normal(shift, width, n)
    return {"x0": x, "x1": rng.normal(size=n), "t": 0.1 * x - 0.005}


def save(path, events, **more):
    np.savez(path, **events, **more)
    return path


def take(events, rows):
    return {name: values[rows] for name, values in events.items()}


def repeat_events(events, times):
    return {name: np.repeat(values, times) for name, values in events.items()}


@pytest.fixture
def page():
    """For tests that draw the page."""


@pytest.fixture(autouse=True)
def drawing_takes_a_second(request, monkeypatch):
    if "page" not in request.fixturenames:
        monkeypatch.setattr("amplify.report.page.write_page", lambda results, path: None)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """The files of the closed form: 300000 generated events of N(.1, 1), 20000 true ones of N(0,
    1).
    """
    directory, rng = tmp_path_factory.mktemp("truth"), np.random.default_rng(11)
    return save(directory / "gen.npz", draw_events(rng, 300_000, 0.1)), save(
        directory / "holdout.npz", draw_events(rng, 20_000)
    )


@pytest.fixture
def small(tmp_path):
    """A small pair of samples in x0, x1, t."""
    rng = np.random.default_rng(12)
    return save(tmp_path / "gen.npz", draw_events(rng, 4000, 0.1)), save(
        tmp_path / "holdout.npz", draw_events(rng, 1000)
    )


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Runs in a directory of its own, so that nothing can be written unseen."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
