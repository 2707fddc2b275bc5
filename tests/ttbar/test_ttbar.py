"""Top pairs from Pythia 8: physics numbers of docs/top_pairs (Events) on a small sample, the file,
and what happens when a run is disturbed.
"""

import errno
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from amplify.cli import main
from amplify.errors import DivergedError, InputError, MissingExtraError
from amplify.locks import file_lock
from amplify.ttbar import jets, partons, simulation
from amplify.ttbar import kinematics as k
from amplify.ttbar.event_files import open_events
from amplify.ttbar.partons import TtbarSettings

SETTINGS = TtbarSettings(seed=7)
NO_CUTS = {"pt_min_gev": 0.0, "eta_max": np.inf, "delta_r_min": 0.0}


@pytest.fixture(scope="module")
def bare():
    """20000 events without smearing and cuts."""
    chunk = partons.simulate_chunk(TtbarSettings(seed=5, smear=0.0, **NO_CUTS), 0, 20_000)
    assert len(chunk.momenta) == 20_000
    return chunk.momenta


def test_physics_numbers_with_initial_state_radiation(bare):
    """Four standard deviations of the sample and of the reference together: false alarm 3e-4 for
    five numbers, fixed seed.
    """
    o = _agrees(bare, ((0.161, 0.0265, 0.0003), (0.110, 0.0123, 0.0002), (128.9, 0.2), (70.1, 0.1)))
    assert abs(np.median(o["m_t_gev"]) - 173.0) < 0.3
    assert abs(np.median(o["m_wplus_gev"]) - 80.37) < 0.3
    assert abs(o["y_t"].mean()) < 4 * o["y_t"].std() / np.sqrt(len(bare))


def _agrees(momenta, references):
    """Tails of m_tt and pT, means of pT of the top and the pair: within four standard deviations of
    the sample and of the reference together. Returns the observables.
    """
    o = dict(zip(k.OBSERVABLES, k.observables(momenta).T, strict=True))
    tail_m_tt, tail_pt, mean_pt, mean_pt_tt = references
    for value, (spread, reference, error) in (
        ((o["m_tt_gev"] > 1000).mean(), tail_m_tt),
        ((o["pt_t_gev"] > 400).mean(), tail_pt),
        (o["pt_t_gev"].mean(), (o["pt_t_gev"].std(), *mean_pt)),
        (o["pt_tt_gev"].mean(), (o["pt_tt_gev"].std(), *mean_pt_tt)),
    ):
        assert abs(value - reference) < 4 * np.hypot(spread / np.sqrt(len(momenta)), error)
    return o


def test_acceptance_of_the_cuts():
    """.3374 accepted, and what is left (docs/top_pairs, Events); 20000 events fix it to .0033, four
    sigma allowed: false alarm 3e-4 for five numbers, fixed seed.
    """
    chunk = partons.simulate_chunk(TtbarSettings(seed=6, smear=0.0), 0, 20_000)
    n = len(chunk.momenta)
    assert abs(n / 20_000 - 0.3374) < 0.0134
    assert chunk.cut_flow[0] == 20_000 and chunk.cut_flow[-1] == n
    assert (np.diff(chunk.cut_flow) <= 0).all()
    tails = (0.153, 0.0239, 0.0005), (0.070, 0.0049, 0.0002)
    _agrees(chunk.momenta, (*tails, (128.6, 0.1), (66.7, 0.1)))
    assert k.passes(chunk.momenta, pt_min_gev=22, eta_max=5, delta_r_min=0.5).all()


def test_smearing_has_the_stated_resolution(bare):
    smeared = partons.simulate_chunk(TtbarSettings(seed=5, **NO_CUTS), 0, 20_000).momenta
    ratio = (k.pt(smeared) / k.pt(bare)).ravel()
    assert abs(ratio.mean() - 1) < 2e-3 and abs(ratio.std() - 0.1) < 1e-3
    d_eta = k.pseudorapidity(smeared) - k.pseudorapidity(bare)
    np.testing.assert_allclose(d_eta.std(), 0.02, rtol=0.01)
    np.testing.assert_allclose(k.wrap(k.phi(smeared) - k.phi(bare)).std(), 0.02, rtol=0.01)
    np.testing.assert_allclose(k.mass(smeared) ** 2 / k.pt(smeared) ** 2, 0, atol=1e-9)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two chunks as an interrupted run leaves them, with the settings they belong to."""
    parts = tmp_path_factory.mktemp("stored") / "parts"
    simulation._claim(parts, SETTINGS)
    for index in (0, 1):
        simulation.stored_chunk(partons.recipe().simulate, parts, SETTINGS, index)
    return parts


@pytest.fixture(scope="module")
def undisturbed(stored, tmp_path_factory):
    """The file of 4000 events that every way must lead to."""
    out = tmp_path_factory.mktemp("undisturbed") / "a.h5"
    chunks = sorted(stored.glob("*.npz"))
    simulation.write(out, chunks, 4000, SETTINGS, partons.recipe(), _cut_flow(chunks))
    return out


def _cut_flow(chunks):
    return sum(np.load(path)["cut_flow"] for path in chunks)


def test_file(undisturbed):
    with h5py.File(undisturbed) as file:
        assert file["momenta"].shape == (4000, 6, 4) and file["momenta"].dtype == np.float32
        assert set(file["observables"]) == set(k.OBSERVABLES)
        expected = k.observables(file["momenta"][:].astype(np.float64))
        np.testing.assert_allclose(file["observables/m_tt_gev"][:], expected[:, 0], rtol=1e-4)
        assert json.loads(file.attrs["settings"])["seed"] == 7
        flow, acceptance = json.loads(file.attrs["cut_flow"]), json.loads(file.attrs["acceptance"])
    assert list(flow) == ["generated", "pt", "eta", "delta_r"] and flow["generated"] == 20_000
    fraction = flow["delta_r"] / 20_000
    error = np.sqrt(fraction * (1 - fraction) / 20_000)
    np.testing.assert_allclose(acceptance["delta_r"], [fraction, error])


def _command(out):
    """What simulates the file of `undisturbed`, in one process."""
    words = f"ttbar --events 4000 --seed 7 --workers 1 --out {out}"
    return [sys.executable, "-m", "amplify", *words.split()]


def test_killed_run_continues_to_the_same_file_with_other_workers(undisturbed, tmp_path):
    """kill -9 of the command: its processes end, finished chunks are used as they are, half a chunk
    is not, and no byte differs.
    """
    out, parts = tmp_path / "a.h5", tmp_path / "a.h5.parts"
    with subprocess.Popen(_command(out), stderr=subprocess.DEVNULL) as run:
        _wait(lambda: (parts / "000000.npz").exists())
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        run.kill()
    _wait(lambda: not any(Path(f"/proc/{child}/exe").exists() for child in children))
    assert children and not out.exists()
    (parts / "000001.npz.1.part").write_bytes(b"half a chunk")
    first = parts / "000000.npz"
    stamp = first.stat().st_mtime_ns
    steps = []
    partons.simulate(
        4000,
        out,
        SETTINGS,
        workers=2,
        progress=lambda n: steps.append((n, first.stat().st_mtime_ns)),
    )
    assert steps[0][1] == stamp and steps[-1][0] == 4000 and not parts.exists()
    assert out.read_bytes() == undisturbed.read_bytes()


def test_full_disk_keeps_what_is_finished(stored, undisturbed, tmp_path):
    """A limit on the size of files stands for the disk: chunks fit, the result does not."""
    out, parts = tmp_path / "a.h5", tmp_path / "a.h5.parts"
    shutil.copytree(stored, parts)
    # set by a process between this one and the command: forking here would be a risk for JAX's
    # threads
    limited = (
        "import os, resource, sys; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (420_000, resource.RLIM_INFINITY)); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    words = [sys.executable, "-c", limited, *_command(out)]
    run = subprocess.run(words, capture_output=True, text=True)
    last_line = run.stderr.splitlines()[-1]
    assert run.returncode == 2 and last_line.startswith("error: ")
    assert "finished chunks are kept" in last_line
    names = sorted(path.name for path in tmp_path.rglob("*"))
    assert names == ["000000.npz", "000001.npz", "a.h5.parts", "settings.json"]
    chunks = sorted(parts.glob("*.npz"))
    simulation.write(out, chunks, 4000, SETTINGS, partons.recipe(), _cut_flow(chunks))
    assert out.read_bytes() == undisturbed.read_bytes()


def test_full_disk_while_a_chunk_is_written(tmp_path, monkeypatch):
    def half(file, **arrays):
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", half)
    chunk = simulation.Chunk(np.zeros((1, 6, 4)), np.ones(4))
    with pytest.raises(OSError, match="No space left"):
        simulation.stored_chunk(lambda settings, index: chunk, tmp_path, SETTINGS, 0)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(simulation, "_simulate", lambda *_: half(io.BytesIO()))
    with pytest.raises(InputError, match=r"No space left.*finished chunks are kept"):
        partons.simulate(10, tmp_path / "a.h5", SETTINGS, workers=1)
    assert (tmp_path / "a.h5.parts" / "settings.json").exists()


def _wait(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_errors_of_a_worker_arrive_whole():
    """Pickled and back: an error that cannot be would leave the simulation waiting for ever."""
    for error in (
        InputError("a", "b", "c", "d"),
        MissingExtraError("a", "b", "c", "d"),
        DivergedError("a", "b", "c", "d"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error) and str(again) == "a: expected b, got c; d"


@pytest.mark.parametrize(
    ("module", "name"), [("pythia8mc", "Pythia 8"), ("awkward", "Pythia 8"), ("fastjet", "FastJet")]
)
def test_missing_packages_are_one_line(tmp_path, monkeypatch, module, name):
    monkeypatch.setattr(simulation, "find_spec", lambda wanted: None if wanted == module else True)
    with pytest.raises(MissingExtraError, match=rf"{name}: .*{module}.*pip install '\.\[ttbar\]'"):
        jets.simulate(10, tmp_path / "a.h5", workers=1)
    if module != "fastjet":
        with pytest.raises(MissingExtraError, match=name):
            partons.simulate(10, tmp_path / "a.h5", workers=1)
    assert not list(tmp_path.iterdir())


def test_killed_worker_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "stored_chunk", _killed)
    with pytest.raises(InputError, match="what is finished is kept"):
        partons.simulate(10, tmp_path / "b.h5", workers=1)


def _killed(*_):
    os._exit(9)


def test_bad_input(tmp_path):
    taken = tmp_path / "taken.h5"
    taken.write_bytes(b"precious")
    with pytest.raises(InputError, match="does not exist yet"):
        partons.simulate(10, taken)
    assert taken.read_bytes() == b"precious"
    for n, settings, workers in (
        (0, TtbarSettings(), 1),
        (5, TtbarSettings(smear=-1.0), 1),
        (5, TtbarSettings(), 0),
        (5, TtbarSettings(seed=-1), 1),
    ):
        with pytest.raises(InputError):
            partons.simulate(n, tmp_path / "x.h5", settings, workers=workers)
    simulation._claim(tmp_path / "y.h5.parts", TtbarSettings(seed=1))
    with pytest.raises(InputError, match="remove the directory"):
        partons.simulate(10, tmp_path / "y.h5", TtbarSettings(seed=2), workers=1)


def test_damaged_chunks_are_simulated_again(tmp_path):
    """A flipped bit, half a file, other settings: never used."""
    simulated = []

    def simulate(settings, index):
        simulated.append(index)
        return simulation.Chunk(np.full((5, 6, 4), settings.seed + index), np.ones(4, int))

    def chunk(settings=SETTINGS):
        path = simulation.stored_chunk(simulate, tmp_path, settings, 3)
        assert simulation._opened(path, settings)["momenta"][0, 0, 0] == settings.seed + 3
        return path

    whole = chunk().read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    chunk()
    assert simulated == [3]
    for damage in (bytes(flipped), whole[:100], b"", b"{}"):
        chunk().write_bytes(damage)
        chunk()
    assert len(simulated) == 5
    chunk(TtbarSettings(seed=8))
    assert len(simulated) == 6
    (tmp_path / "settings.json").write_text("{}")
    simulation._claim(tmp_path, SETTINGS)
    with pytest.raises(InputError, match="chunks made with"):
        simulation._claim(tmp_path, TtbarSettings(seed=8))


def test_damage_in_a_file_of_events_is_noticed(undisturbed, tmp_path):
    content = bytearray(undisturbed.read_bytes())
    content[len(content) // 3] ^= 1
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(InputError, match="data that HDF5 can decode"):
        open_events(path)


def test_two_simulations_into_one_file(tmp_path):
    out = tmp_path / "a.h5"
    with (
        file_lock(out),
        pytest.raises(InputError, match=rf"held by process {os.getpid()} on "),
    ):
        partons.simulate(10, out, SETTINGS, workers=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--mpi"], "leave --mpi out"), (["--level", "jet", "--smear", "1"], "leave --smear out")],
)
def test_options_of_the_other_level(tmp_path, capsys, words, said):
    with pytest.raises(SystemExit) as stop:
        main(["ttbar", "--events", "10", "--out", str(tmp_path / "a.h5"), *words])
    (line,) = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2 and said in line and not list(tmp_path.iterdir())
