"""Fully hadronic top pairs at parton level: Pythia 8 with initial-state radiation, detector smearing and cuts (ttbar.md section 1).

pp at 13 TeV, t tbar -> b q q' bbar q q'. Unlike a published data set, truth has no end here: a forecast can be checked against millions of
events. The order is that of a detector: the partons are smeared, cut, and set massless. Work is cut into chunks of generated events, each
with a seed of its own, so that the same seed gives the same events for any number of processes, and an interrupted run continues.
"""

import json
import multiprocessing
import os
import shutil
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify import kinematics
from amplify.errors import InputError, MissingExtraError

_PYTHIA = (
    "Print:quiet=on", "Beams:eCM=13000.", "Top:gg2ttbar=on", "Top:qqbar2ttbar=on", "24:onMode=off", "24:onIfAny=1 2 3 4 5",
    "PartonLevel:FSR=off", "PartonLevel:MPI=off", "PartonLevel:Remnants=off", "HadronLevel:all=off", "Check:event=off", "Random:setSeed=on",
)  # fmt: skip
# Remnants off leaves only a hard process with initial-state radiation, which breaks Pythia's own event check: hence Check:event=off.
_CHUNK = 10_000  # generated events per chunk, about one second
_CUT_NAMES = ("generated", "pt", "eta", "delta_r")


class TtbarSettings(NamedTuple):
    """What is simulated. GeV for momenta; `smear` multiplies the resolutions (10 % in pT, .02 in eta and phi), 0 switches them off."""

    seed: int = 0
    smear: float = 1.0
    pt_min_gev: float = 22.0
    eta_max: float = 5.0
    delta_r_min: float = 0.5


class Chunk(NamedTuple):
    """momenta [event, 6, 4] in GeV of the accepted events, and the events left after each of _CUT_NAMES."""

    momenta: np.ndarray
    cut_flow: np.ndarray


def simulate(
    n: int, out: Path, settings: TtbarSettings = TtbarSettings(), *, workers: int = 2, progress: Callable[[int], None] = lambda accepted: None
) -> Path:
    """Simulates n accepted events into the HDF5 file `out`; finished chunks of an interrupted run with the same settings are used again.

    The file holds `momenta` [event, 6, 4] float32 in GeV as (E, px, py, pz), `observables` with one column per kinematics.OBSERVABLES, and
    as attributes the settings and the cut flow of the chunks that were simulated.

    Args:
        n: accepted events.
        out: the file, which must not exist yet.
        settings: seed, smearing and cuts.
        workers: processes; the events do not depend on their number.
        progress: called with the number of events accepted so far.

    Raises:
        InputError: n, workers or a setting makes no sense, or `out` exists.
        MissingExtraError: Pythia is not installed.
    """
    check(n, out, settings, workers)
    parts = out.with_name(out.name + ".parts")
    _claim(parts, settings)
    done, total, index, flow = [], 0, 0, np.zeros(len(_CUT_NAMES), int)
    # spawn: a forked process would inherit JAX's threads
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        pending: list[Any] = []
        while total < n:
            while len(pending) < 2 * workers:
                pending.append(pool.submit(_stored_chunk, parts, settings, index))
                index += 1
            path = pending.pop(0).result()
            with np.load(path) as chunk:
                total += len(chunk["momenta"])
                flow += chunk["cut_flow"]
            done.append(path)
            progress(min(total, n))
            if len(done) * _CHUNK >= 50 * _CHUNK and total == 0:
                raise InputError("cuts", "some accepted events", f"none of {flow[0]}", "loosen the cuts")
    except BrokenProcessPool:
        raise InputError("simulation", "processes that finish", "one that was killed", "start it again: finished chunks are kept") from None
    finally:
        pool.shutdown(cancel_futures=True)
    write(out, done, n, settings, dict(zip(_CUT_NAMES, flow.tolist(), strict=True)))
    shutil.rmtree(parts)
    return out


def write(out: Path, chunks: list[Path], n: int, settings: TtbarSettings, cut_flow: dict[str, int]) -> None:
    """Joins the first n events of stored chunks into `out`, which appears only when it is complete."""
    import h5py

    unfinished = out.with_name(out.name + ".unfinished")
    with h5py.File(unfinished, "w") as file:
        momenta = file.create_dataset("momenta", (n, 6, 4), "f4", chunks=(min(n, 8192), 6, 4))
        columns = [file.create_dataset(f"observables/{name}", (n,), "f4") for name in kinematics.OBSERVABLES]
        start = 0
        for path in chunks:
            with np.load(path) as chunk:
                block = chunk["momenta"][: n - start]
            stop = start + len(block)
            momenta[start:stop] = block
            for column, values in zip(columns, kinematics.observables(block).T, strict=True):
                column[start:stop] = values
            start = stop
        momenta.attrs["columns"] = json.dumps(["E_gev", "px_gev", "py_gev", "pz_gev"])
        momenta.attrs["particles"] = json.dumps(kinematics.PARTICLES)
        file.attrs["settings"] = json.dumps(settings._asdict() | {"process": "pp -> t tbar, 13 TeV, parton level with ISR", "pythia": list(_PYTHIA)})
        file.attrs["cut_flow"] = json.dumps(cut_flow)
    os.replace(unfinished, out)


def simulate_chunk(settings: TtbarSettings, index: int, generated: int = _CHUNK) -> Chunk:
    """Simulates chunk `index` of `generated` events before cuts."""
    partons = _hard_partons(generated, pythia_seed=1 + (100_003 * settings.seed + index) % 899_999_999)
    momenta = _smear(partons, settings.smear, np.random.default_rng([settings.seed, index]))
    p_t, eta, distance = kinematics.pt(momenta), kinematics.pseudorapidity(momenta), kinematics.delta_r(momenta)
    cuts = ((p_t > settings.pt_min_gev).all(-1), (np.abs(eta) < settings.eta_max).all(-1), (distance > settings.delta_r_min).all(-1))
    left = np.logical_and.accumulate([np.ones(len(momenta), bool), *cuts])
    return Chunk(momenta[left[-1]], left.sum(-1))


def _hard_partons(n: int, pythia_seed: int) -> np.ndarray:
    """Three-momenta [event, 6, 3] in GeV, ordered (b, up, down, bbar, up, down), identified by their mothers and never by their place."""
    try:
        import awkward as ak
        import pythia8mc
    except ImportError as error:
        raise _missing() from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the two packages about each other
        pythia = pythia8mc.Pythia("", False)
        for line in (*_PYTHIA, f"Random:seed={pythia_seed}"):
            if not pythia.readString(line):
                raise InputError("Pythia 8", "a setting it knows", line, "install the tested release, see constraints.txt")
        pythia.init()
        particles = pythia.nextBatch(n).prt
        mother = ak.where(particles.mother1 > 0, particles.id[particles.mother1], 0)
        final, up_type = particles.status > 0, particles.id % 2 == 0

        def momentum(mask: Any) -> np.ndarray:
            p = ak.flatten(particles[mask]).p
            return np.stack([ak.to_numpy(p.px), ak.to_numpy(p.py), ak.to_numpy(p.pz)], axis=-1)

        columns = []
        for sign in (1, -1):
            from_w = final & (mother == 24 * sign)
            columns += [momentum(final & (mother == 6 * sign)), momentum(from_w & up_type), momentum(from_w & ~up_type)]
    return np.stack(columns, axis=1)


def _smear(p: np.ndarray, smear: float, rng: np.random.Generator) -> np.ndarray:
    """Massless four-momenta with pT smeared by 10 %, eta and phi by .02, times `smear`."""
    p_t = np.hypot(p[..., 0], p[..., 1])
    eta, azimuth = np.arcsinh(p[..., 2] / p_t), np.arctan2(p[..., 1], p[..., 0])
    noise = smear * rng.standard_normal((3, *p_t.shape))
    # a measured pT is positive: more than 10 sigma below zero never happens at smear = 1, the floor serves larger ones
    return kinematics.massless(np.maximum(p_t * (1 + 0.1 * noise[0]), 1e-3), eta + 0.02 * noise[1], azimuth + 0.02 * noise[2])


def _stored_chunk(parts: Path, settings: TtbarSettings, index: int) -> Path:
    path = parts / f"{index:06d}.npz"
    if not path.exists():
        chunk = simulate_chunk(settings, index)
        unfinished = path.with_suffix(".unfinished")
        with open(unfinished, "wb") as file:
            np.savez(file, momenta=chunk.momenta.astype(np.float32), cut_flow=chunk.cut_flow)
        os.replace(unfinished, path)
    return path


def _claim(parts: Path, settings: TtbarSettings) -> None:
    """Makes the directory of chunks, or accepts the one that an interrupted run with the same settings left."""
    note = parts / "settings.json"
    mine = json.dumps(settings._asdict(), sort_keys=True)
    if not note.exists():
        parts.mkdir(parents=True, exist_ok=True)
        note.write_text(mine)
    elif note.read_text() != mine:
        raise InputError(f"{parts}", f"chunks made with {mine}", note.read_text(), "remove the directory or choose another --out")


def _missing() -> MissingExtraError:
    return MissingExtraError("Pythia 8", "the packages pythia8mc and awkward", "no such package", "pip install '.[ttbar]' in the directory of amplify")


def check(n: int, out: Path, settings: TtbarSettings, workers: int) -> None:
    """Raises InputError or MissingExtraError if `simulate` could not start, before anything is done or said."""
    if n < 1:
        raise InputError("--events", "at least 1", str(n), "ask for some events")
    if workers < 1:
        raise InputError("--workers", "at least 1", str(workers), "use one process per core")
    if settings.seed < 0:
        raise InputError("--seed", "zero or more", str(settings.seed), "choose another seed")
    if not settings.smear >= 0:
        raise InputError("--smear", "zero or more", str(settings.smear), "use 0 for bare partons, 1 for a detector")
    if out.exists():
        raise InputError(str(out), "a file that does not exist yet", "an existing file", "choose another --out; nothing is overwritten")
    if find_spec("pythia8mc") is None or find_spec("awkward") is None:
        raise _missing()
