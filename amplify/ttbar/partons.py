"""Fully hadronic top pairs at parton level: Pythia 8 with initial-state radiation, detector
smearing and cuts (docs/top_pairs, Events).

pp at 13 TeV, t tbar -> b q q' bbar q q'. Unlike a published data set, truth has no end here: a
forecast can be checked against millions of events. The order is that of a detector: the partons are
smeared, cut, and set massless.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.ttbar import kinematics, pythia, simulation
from amplify.ttbar.simulation import Chunk, Recipe

# Remnants off leaves only a hard process with initial-state radiation, which breaks Pythia's own
# event check: hence Check:event=off.
_PYTHIA = (
    *pythia.FULLY_HADRONIC_TOP_PAIRS,
    "PartonLevel:FSR=off",
    "PartonLevel:MPI=off",
    "PartonLevel:Remnants=off",
    "HadronLevel:all=off",
    "Check:event=off",
    pythia.SEEDED,
)
_CHUNK = 10_000  # generated events per chunk, about one second


class TtbarSettings(NamedTuple):
    """What is simulated and selected.

    Attributes:
        seed: of Pythia and the smearing, chunk by chunk.
        smear: multiplies the resolutions (10 % in pT, .02 in eta and phi); 0 switches them off.
        pt_min_gev: transverse momentum that every parton exceeds.
        eta_max: absolute pseudorapidity that every parton stays below.
        delta_r_min: distance that every two partons exceed.
    """

    seed: int = 0
    smear: float = 1.0
    pt_min_gev: float = 22.0
    eta_max: float = 5.0
    delta_r_min: float = 0.5


def simulate(
    n: int,
    out: Path,
    settings: TtbarSettings = TtbarSettings(),
    *,
    workers: int = 2,
    progress: Callable[[int], None] = lambda accepted: None,
) -> Path:
    """Simulates n accepted events into the HDF5 file `out`, momenta in single precision; see
    `simulation.run`.

    Args:
        n: accepted events.
        out: the file, which must not exist yet.
        settings: seed, smearing and cuts.
        workers: processes; the events do not depend on their number.
        progress: called with the number of events accepted so far.

    Raises:
        InputError: n, workers or a setting makes no sense, `out` exists, a process was killed or
            the disk is full.
        MissingExtraError: Pythia is not installed.
    """
    check(n, out, settings, workers)
    return simulation.run(n, out, settings, recipe(), workers=workers, progress=progress)


def check(n: int, out: Path, settings: TtbarSettings, workers: int) -> None:
    """Raises InputError or MissingExtraError if `simulate` could not start, before anything is done
    or said.
    """
    if not 0 <= settings.smear < float("inf"):
        fix = "use 0 for bare partons, 1 for a detector"
        raise InputError("--smear", "zero or more, and finite", str(settings.smear), fix)
    simulation.check(n, out, settings, recipe(), workers)


def recipe() -> Recipe:
    """Chunks of parton-level events."""
    return Recipe(
        simulate=_single_precision,
        cuts=("generated", "pt", "eta", "delta_r"),
        dtype="f4",
        process="pp -> t tbar, 13 TeV, parton level with ISR",
        pythia=_PYTHIA,
        packages=pythia.PACKAGES,
    )


def simulate_chunk(settings: TtbarSettings, index: int, generated: int = _CHUNK) -> Chunk:
    """Simulates chunk `index` of `generated` events before cuts."""
    partons = _hard_partons(generated, pythia.chunk_seed(settings.seed, index))
    momenta = _smear(partons, settings.smear, np.random.default_rng([settings.seed, index]))
    passed = [
        np.ones(len(momenta), bool),
        (kinematics.pt(momenta) > settings.pt_min_gev).all(-1),
        (np.abs(kinematics.pseudorapidity(momenta)) < settings.eta_max).all(-1),
        (kinematics.delta_r(momenta) > settings.delta_r_min).all(-1),
    ]
    left = np.logical_and.accumulate(passed)
    return Chunk(momenta[left[-1]], left.sum(-1))


def _single_precision(settings: TtbarSettings, index: int) -> Chunk:
    """A chunk as it is stored: massless partons need no more, their energy follows from their
    momentum.
    """
    chunk = simulate_chunk(settings, index)
    return chunk._replace(momenta=chunk.momenta.astype(np.float32))


def _hard_partons(n: int, pythia_seed: int) -> np.ndarray:
    """Three-momenta [event, 6, 3] in GeV, ordered (b, up, down, bbar, up, down), identified by
    their mothers and never by their place.
    """
    import awkward as ak

    generator = pythia.started(_PYTHIA, pythia_seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of awkward and pythia8mc about each other
        particles = generator.nextBatch(n).prt
        mother = ak.where(particles.mother1 > 0, particles.id[particles.mother1], 0)
        final, up_type = particles.status > 0, particles.id % 2 == 0

        def momentum(mask: Any) -> np.ndarray:
            p = ak.flatten(particles[mask]).p
            return np.stack([ak.to_numpy(p[name]) for name in ("px", "py", "pz")], axis=-1)

        columns = []
        for sign in (1, -1):
            from_top, from_w = final & (mother == 6 * sign), final & (mother == 24 * sign)
            columns += [momentum(mask) for mask in (from_top, from_w & up_type, from_w & ~up_type)]
    return np.stack(columns, axis=1)


def _smear(p: np.ndarray, smear: float, rng: np.random.Generator) -> np.ndarray:
    """Massless four-momenta with pT smeared by 10 %, eta and phi by .02, times `smear`."""
    p_t = np.hypot(p[..., 0], p[..., 1])
    eta, azimuth = np.arcsinh(p[..., 2] / p_t), np.arctan2(p[..., 1], p[..., 0])
    noise = smear * rng.standard_normal((3, *p_t.shape))
    # a measured pT is positive: more than 10 sigma below zero never happens at smear = 1, the floor
    # serves larger ones
    smeared = np.maximum(p_t * (1 + 0.1 * noise[0]), 1e-3)
    return kinematics.massless(smeared, eta + 0.02 * noise[1], azimuth + 0.02 * noise[2])
