"""Top pairs from Pythia 8: physics numbers of ttbar.md section 1 on a small sample, and the file."""

import json
import os
import pickle

import h5py
import numpy as np
import pytest

from amplify import kinematics as k
from amplify.data import ttbar
from amplify.errors import DivergedError, InputError, MissingExtraError

NO_CUTS = {"pt_min_gev": 0.0, "eta_max": np.inf, "delta_r_min": 0.0}


@pytest.fixture(scope="module")
def bare():
    """20000 events without smearing and cuts."""
    chunk = ttbar.simulate_chunk(ttbar.TtbarSettings(seed=5, smear=0.0, **NO_CUTS), 0, 20_000)
    assert len(chunk.momenta) == 20_000
    return chunk.momenta


def test_physics_numbers_with_initial_state_radiation(bare):
    """Four standard deviations of the sample and of the reference together: false alarm 3e-4 for five numbers, fixed seed."""
    o = dict(zip(k.OBSERVABLES, k.observables(bare).T, strict=True))
    n = len(bare)
    for value, spread, reference, error in (
        ((o["m_tt_gev"] > 1000).mean(), 0.161, 0.0265, 0.0003),
        ((o["pt_t_gev"] > 400).mean(), 0.110, 0.0123, 0.0002),
        (o["pt_t_gev"].mean(), o["pt_t_gev"].std(), 128.9, 0.2),
        (o["pt_tt_gev"].mean(), o["pt_tt_gev"].std(), 70.1, 0.1),
    ):
        assert abs(value - reference) < 4 * np.hypot(spread / np.sqrt(n), error)
    assert abs(np.median(o["m_t_gev"]) - 173.0) < 0.3
    assert abs(np.median(o["m_wplus_gev"]) - 80.37) < 0.3
    assert abs(o["y_t"].mean()) < 4 * o["y_t"].std() / np.sqrt(n)


def test_acceptance_of_the_cuts():
    """.3374 accepted (ttbar.md); 20000 events fix it to .0033, four sigma allowed."""
    chunk = ttbar.simulate_chunk(ttbar.TtbarSettings(seed=6, smear=0.0), 0, 20_000)
    assert abs(len(chunk.momenta) / 20_000 - 0.3374) < 0.0134
    assert chunk.cut_flow[0] == 20_000 and (np.diff(chunk.cut_flow) <= 0).all() and chunk.cut_flow[-1] == len(chunk.momenta)
    assert (k.pt(chunk.momenta) > 22).all() and (np.abs(k.pseudorapidity(chunk.momenta)) < 5).all() and (k.delta_r(chunk.momenta) > 0.5).all()


def test_smearing_has_the_stated_resolution(bare):
    smeared = ttbar.simulate_chunk(ttbar.TtbarSettings(seed=5, **NO_CUTS), 0, 20_000).momenta
    ratio = (k.pt(smeared) / k.pt(bare)).ravel()
    assert abs(ratio.mean() - 1) < 2e-3 and abs(ratio.std() - 0.1) < 1e-3
    np.testing.assert_allclose((k.pseudorapidity(smeared) - k.pseudorapidity(bare)).std(), 0.02, rtol=0.01)
    np.testing.assert_allclose(k.wrap(k.phi(smeared) - k.phi(bare)).std(), 0.02, rtol=0.01)
    np.testing.assert_allclose(k.mass(smeared) ** 2 / k.pt(smeared) ** 2, 0, atol=1e-9)


def test_file_does_not_depend_on_workers_and_continues(tmp_path):
    settings = ttbar.TtbarSettings(seed=7)
    first = ttbar.simulate(4000, tmp_path / "a.h5", settings, workers=1)
    # what a killed run leaves: one finished chunk, half of another
    parts = tmp_path / "b.h5.parts"
    ttbar._claim(parts, settings)
    kept = ttbar._stored_chunk(parts, settings, 0)
    (parts / "000001.unfinished").write_bytes(b"half a chunk")
    stamp = kept.stat().st_mtime_ns
    seen = []
    second = ttbar.simulate(
        4000, tmp_path / "b.h5", settings, workers=2, progress=lambda n: seen.append((n, kept.stat().st_mtime_ns if kept.exists() else None))
    )
    assert seen[0][1] == stamp and seen[-1][0] == 4000
    assert not parts.exists()
    with h5py.File(first) as a, h5py.File(second) as b:
        np.testing.assert_array_equal(a["momenta"][:], b["momenta"][:])
        assert a["momenta"].shape == (4000, 6, 4)
        assert tuple(a["observables"]) and set(a["observables"]) == set(k.OBSERVABLES)
        expected = k.observables(a["momenta"][:].astype(np.float64))
        np.testing.assert_allclose(a["observables/m_tt_gev"][:], expected[:, 0], rtol=1e-4)
        assert json.loads(a.attrs["settings"])["seed"] == 7
        flow = json.loads(a.attrs["cut_flow"])
        assert list(flow) == ["generated", "pt", "eta", "delta_r"]


def test_errors_of_a_worker_arrive_whole():
    """Pickled and back: an error that cannot be would leave the simulation waiting for ever."""
    for error in (InputError("a", "b", "c", "d"), MissingExtraError("a", "b", "c", "d"), DivergedError("a", "b", "c", "d")):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error) and str(again) == "a: expected b, got c; d"


def test_missing_pythia_and_a_killed_worker_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(ttbar, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install '\.\[ttbar\]'"):
        ttbar.simulate(10, tmp_path / "a.h5", workers=1)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    monkeypatch.setattr(ttbar, "_stored_chunk", _killed)
    with pytest.raises(InputError, match="finished chunks are kept"):
        ttbar.simulate(10, tmp_path / "b.h5", workers=1)


def _killed(*_):
    os._exit(9)


def test_bad_input(tmp_path):
    taken = tmp_path / "taken.h5"
    taken.write_bytes(b"precious")
    with pytest.raises(InputError, match="does not exist yet"):
        ttbar.simulate(10, taken)
    assert taken.read_bytes() == b"precious"
    for n, settings, workers in (
        (0, ttbar.TtbarSettings(), 1),
        (5, ttbar.TtbarSettings(smear=-1.0), 1),
        (5, ttbar.TtbarSettings(), 0),
        (5, ttbar.TtbarSettings(seed=-1), 1),
    ):
        with pytest.raises(InputError):
            ttbar.simulate(n, tmp_path / "x.h5", settings, workers=workers)
    ttbar._claim(tmp_path / "y.h5.parts", ttbar.TtbarSettings(seed=1))
    with pytest.raises(InputError, match="remove the directory"):
        ttbar.simulate(10, tmp_path / "y.h5", ttbar.TtbarSettings(seed=2), workers=1)
