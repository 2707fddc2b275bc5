"""Fully hadronic top pairs as six jets: Pythia 8 with parton shower and hadrons, anti-kt jets,
b-tags and a chi^2 assignment (docs/top_pairs, Events).

The selection is that of arXiv:2405.14806 and 2411.00446 without their detector: jets of R = 0.4 of
all particles but neutrinos, pT > 22 GeV and |eta| < 5, at least six of them, exactly two with a
b-tag, and no two of them closer than Delta R = 0.5. The other jets are assigned to the two W bosons
by the chi^2

    ((m_qq - m_W) / sigma_W)^2 + ((m_bqq - m_t) / sigma_t)^2, summed over both tops,

minimised over all choices of four jets. It is kept as the column `chi2`; jets that were not chosen
are counted in `n_extra_jets` and dropped.

The order is (b, q, q', bbar, q, q'). The b quark in the hadron that gave the tag says which jet is
b and which is bbar: no experiment knows that so well, but an order by pT would make top and antitop
differ. Where both tags hold the same flavour, or one holds both (1 % of the events), the harder one
comes first. The jets of a W are ordered by pT: a jet does not show the flavour of a light quark.
"""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.ttbar import kinematics, pythia, simulation
from amplify.ttbar.hadrons import BBAR, B, Hadrons, generate
from amplify.ttbar.simulation import Chunk, Recipe

_CHUNK = 4000  # generated events per chunk, about six seconds without multiparton interactions
CUTS = ("generated", "six_jets", "two_tags", "delta_r")


class JetSettings(NamedTuple):
    """What is simulated and selected; momenta and masses in GeV.

    Attributes:
        seed: of Pythia, chunk by chunk.
        mpi: multiparton interactions, which cost five times the rest.
        radius: of the anti-kt jets.
        pt_min_gev: transverse momentum that a jet exceeds.
        m_min_gev: mass that a jet exceeds. It is below the mass of a pion: what has less is a
            single photon that a quark radiated, .07 % of all jets, and no jet.
        eta_max: absolute pseudorapidity that a jet stays below.
        delta_r_min: distance that all jets of an event exceed.
        tag_delta_r: distance from a jet within which a b hadron tags it.
        m_w_gev: mass of the W bosons in the chi^2.
        sigma_w_gev: its resolution.
        m_t_gev: mass of the tops in the chi^2.
        sigma_t_gev: its resolution.
    """

    seed: int = 0
    mpi: bool = False
    radius: float = 0.4
    pt_min_gev: float = 22.0
    m_min_gev: float = 0.1
    eta_max: float = 5.0
    delta_r_min: float = 0.5
    tag_delta_r: float = 0.3
    m_w_gev: float = 80.4
    sigma_w_gev: float = 10.0
    m_t_gev: float = 172.5
    sigma_t_gev: float = 16.0


class Jets(NamedTuple):
    """Jets within the cuts, hardest first, padded.

    Attributes:
        momenta: [event, jet, 4] as (E, px, py, pz) in GeV.
        count: how many of an event are real [event].
        tag: bits B and BBAR of the b hadrons in each [event, jet].
    """

    momenta: np.ndarray
    count: np.ndarray
    tag: np.ndarray


def simulate(
    n: int,
    out: Path,
    settings: JetSettings = JetSettings(),
    *,
    workers: int = 2,
    progress: Callable[[int], None] = lambda accepted: None,
) -> Path:
    """Simulates n accepted events into the HDF5 file `out`, momenta in double precision; see
    `simulation.run`.

    In single precision the mass of a forward jet would be rounding: E^2 is 1e6 GeV^2, m^2 is 10
    GeV^2.

    Args:
        n: accepted events.
        out: the file, which must not exist yet.
        settings: seed, multiparton interactions and selection.
        workers: processes; the events do not depend on their number.
        progress: called with the number of events accepted so far.

    Raises:
        InputError: n or workers makes no sense, `out` exists, a process was killed or the disk is
            full.
        MissingExtraError: Pythia or FastJet is not installed.
    """
    return simulation.run(n, out, settings, recipe(settings), workers=workers, progress=progress)


def check(n: int, out: Path, settings: JetSettings, workers: int) -> None:
    """Raises InputError or MissingExtraError if `simulate` could not start, before anything is done
    or said.
    """
    simulation.check(n, out, settings, recipe(settings), workers)


def recipe(settings: JetSettings, generated: int = _CHUNK) -> Recipe:
    """Chunks of jet-level events."""
    with_or_without = "with" if settings.mpi else "without"
    return Recipe(
        simulate=partial(simulate_chunk, generated=generated),
        cuts=CUTS,
        dtype="f8",
        process=f"pp -> t tbar, 13 TeV, jets {with_or_without} multiparton interactions",
        pythia=pythia_settings(settings),
        packages=(*pythia.PACKAGES, ("FastJet", "fastjet")),
    )


def simulate_chunk(settings: JetSettings, index: int, generated: int = _CHUNK) -> Chunk:
    """Simulates chunk `index` of `generated` events before cuts."""
    batches = [
        select(find_jets(hadrons, settings), settings)
        for hadrons in hadron_events(settings, index, generated)
    ]
    columns = {
        name: np.concatenate([batch.columns[name] for batch in batches])
        for name in batches[0].columns
    }
    momenta = np.concatenate([batch.momenta for batch in batches])
    return Chunk(momenta, np.sum([batch.cut_flow for batch in batches], axis=0), columns)


def hadron_events(settings: JetSettings, index: int, generated: int) -> Iterator[Hadrons]:
    """The hadrons of chunk `index`, in batches that fit into memory."""
    seed = pythia.chunk_seed(settings.seed, index)
    return generate(pythia.started(pythia_settings(settings), seed), generated)


def find_jets(hadrons: Hadrons, settings: JetSettings) -> Jets:
    """Anti-kt jets (arXiv:0802.1189) within the cuts; tagged by every b hadron within `tag_delta_r`
    of their axis.
    """
    momenta, event = _cluster(hadrons, settings)
    p_t = kinematics.pt(momenta)
    inside = (
        (p_t > settings.pt_min_gev)
        & (np.abs(kinematics.pseudorapidity(momenta)) < settings.eta_max)
        & (kinematics.mass(momenta) > settings.m_min_gev)
    )
    momenta, event, p_t = momenta[inside], event[inside], p_t[inside]
    hardest_first = np.lexsort((-p_t, event))
    momenta, event = momenta[hardest_first], event[hardest_first]
    count = np.bincount(event, minlength=hadrons.events)
    first_of_event = np.cumsum(count) - count
    padded = np.zeros((hadrons.events, max(count.max(initial=0), 6), 4))
    padded[event, np.arange(len(event)) - first_of_event[event]] = momenta
    return Jets(padded, count, _tags(padded, count, hadrons, settings.tag_delta_r))


def select(jets: Jets, settings: JetSettings) -> Chunk:
    """The events that pass the cuts, as six ordered jets."""
    six = jets.count >= 6
    two = six & ((jets.tag > 0).sum(axis=1) == 2)
    apart = np.copy(two)
    apart[two] = [
        (kinematics.delta_r(p[:n]) > settings.delta_r_min).all()
        for p, n in zip(jets.momenta[two], jets.count[two], strict=True)
    ]
    flow = np.array([len(six), six.sum(), two.sum(), apart.sum()])
    momenta, count, tag = jets.momenta[apart], jets.count[apart], jets.tag[apart]
    chosen, chi2 = np.zeros((len(momenta), 6), int), np.zeros(len(momenta))
    for n in np.unique(count):
        group = np.flatnonzero(count == n)
        tagged = np.stack([np.flatnonzero(row) for row in tag[group] > 0])
        # jets are ordered by pT: without a flavour to tell, the harder one stays first
        swap = np.take_along_axis(tag[group], tagged, axis=1) == [BBAR, B]
        tagged = np.where(swap.all(axis=1, keepdims=True), tagged[:, ::-1], tagged)
        light = np.stack([np.setdiff1d(np.arange(n), row) for row in tagged])
        chosen[group], chi2[group] = assign(momenta[group], tagged, light, settings)
    six_jets = np.take_along_axis(momenta, chosen[:, :, None], axis=1)
    n_extra_jets = (count - 6).astype(np.int32)
    return Chunk(six_jets, flow, {"chi2": chi2.astype(np.float32), "n_extra_jets": n_extra_jets})


def assign(
    momenta: np.ndarray, tagged: np.ndarray, light: np.ndarray, settings: JetSettings
) -> tuple[np.ndarray, np.ndarray]:
    """The choice of six jets with the smallest chi^2.

    Args:
        momenta: [event, jet, 4] in GeV, hardest first.
        tagged: places [event, 2] of the jets b and bbar.
        light: places [event, light jet] of the others, ascending.
        settings: masses and widths of the chi^2.

    Returns:
        Places [event, 6] of (b, q, q', bbar, q, q'), the harder jet of each W first, and the chi^2
        [event].
    """
    pairs = np.array(list(combinations(range(light.shape[1]), 2)))
    shared = (pairs[:, None, :, None] == pairs[None, :, None, :]).any(axis=(2, 3))
    of_top, of_antitop = np.argwhere(~shared).T  # the choices, as places in pairs
    w_jets = light[:, pairs]  # [event, pair, 2]
    event = np.arange(len(momenta))
    row = event[:, None]
    w = momenta[row, w_jets[..., 0]] + momenta[row, w_jets[..., 1]]
    w_chi2 = ((kinematics.mass(w) - settings.m_w_gev) / settings.sigma_w_gev) ** 2

    def pair_chi2(side: int) -> np.ndarray:
        m_t = kinematics.mass(w + momenta[row, tagged[:, side, None]])
        return w_chi2 + ((m_t - settings.m_t_gev) / settings.sigma_t_gev) ** 2

    chi2 = pair_chi2(0)[:, of_top] + pair_chi2(1)[:, of_antitop]
    best = chi2.argmin(axis=1)
    first, second = w_jets[event, of_top[best]], w_jets[event, of_antitop[best]]
    places = np.concatenate([tagged[:, :1], first, tagged[:, 1:], second], axis=1)
    return places, chi2[event, best]


def pythia_settings(settings: JetSettings) -> tuple[str, ...]:
    """Pythia's settings, without the seed."""
    mpi = f"PartonLevel:MPI={'on' if settings.mpi else 'off'}"
    return (*pythia.FULLY_HADRONIC_TOP_PAIRS, pythia.SEEDED, mpi)


def _cluster(hadrons: Hadrons, settings: JetSettings) -> tuple[np.ndarray, np.ndarray]:
    """All jets above the cut in pT, flat: momenta [jet, 4] and their events."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import awkward as ak
        import fastjet

        # standard output belongs to --json
        swig: Any = vars(fastjet)["_swig"]
        swig.ClusterSequence.set_fastjet_banner_stream(None)
        energy, px, py, pz = hadrons.visible.T
        particles = ak.unflatten(
            ak.zip({"px": px, "py": py, "pz": pz, "E": energy}),
            np.bincount(hadrons.visible_event, minlength=hadrons.events),
        )
        definition = fastjet.JetDefinition(fastjet.antikt_algorithm, settings.radius)
        clustering = fastjet.ClusterSequence(particles, definition)
        jets = clustering.inclusive_jets(settings.pt_min_gev)
        flat = ak.flatten(jets)
        momenta = np.stack([ak.to_numpy(flat[name]) for name in ("E", "px", "py", "pz")], axis=-1)
        return momenta, np.repeat(np.arange(hadrons.events), ak.to_numpy(ak.num(jets)))


def _tags(momenta: np.ndarray, count: np.ndarray, hadrons: Hadrons, delta_r: float) -> np.ndarray:
    """Bits [event, jet] of the b hadrons within `delta_r` of each jet of their event."""
    tag = np.zeros(momenta.shape[:2], int)
    event = hadrons.b_event
    distance = _distance(hadrons.b_hadrons[:, None], momenta[event], count[event])
    hadron, jet = np.nonzero(distance < delta_r)
    np.bitwise_or.at(tag, (event[hadron], jet), hadrons.b_flavour[hadron])
    return tag


def _distance(hadron: np.ndarray, jets: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Delta R [hadron, jet] between a hadron [hadron, 1, 4] and the jets [hadron, jet, 4] of its
    event; infinite beyond the jets that are real.
    """
    real = np.arange(jets.shape[1]) < count[:, None]
    jets = np.where(real[..., None], jets, 1.0)
    eta = kinematics.pseudorapidity(hadron) - kinematics.pseudorapidity(jets)
    azimuth = kinematics.wrap(kinematics.phi(hadron) - kinematics.phi(jets))
    return np.where(real, np.hypot(eta, azimuth), np.inf)
