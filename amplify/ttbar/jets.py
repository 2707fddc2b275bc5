"""Fully hadronic top pairs as six jets: Pythia 8 with parton shower and hadrons, anti-kt jets,
b-tags and a chi^2 assignment (ttbar.md section 1).

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

from amplify.ttbar import kinematics, simulation
from amplify.ttbar.simulation import Chunk, Recipe

_PYTHIA = (
    "Print:quiet=on",
    "Beams:eCM=13000.",
    "Top:gg2ttbar=on",
    "Top:qqbar2ttbar=on",
    "24:onMode=off",
    "24:onIfAny=1 2 3 4 5",
    "Random:setSeed=on",
)
_CHUNK = 4000  # generated events per chunk, about six seconds without multiparton interactions
_BATCH = 500  # events of hadrons in memory at once: 100 MB, 500 MB with multiparton interactions
_NEUTRINOS = (12, 14, 16)
_B, _BBAR = 1, 2  # bits of a tag
CUTS = ("generated", "six_jets", "two_tags", "delta_r")


class JetSettings(NamedTuple):
    """What is simulated and selected, in GeV; `mpi` adds multiparton interactions, which cost five
    times the rest.

    `m_min_gev` is below the mass of a pion: what has less is a single photon that a quark radiated,
    .07 % of all jets, and no jet.
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


class Hadrons(NamedTuple):
    """The particles of a number of events that jets and tags are made of, flat: momenta [particle,
    4] as (E, px, py, pz) in GeV, ordered by event.

    `b_flavour` is _B where the hadron holds a b quark, _BBAR where it holds its antiquark.
    """

    events: int
    visible: np.ndarray
    visible_event: np.ndarray
    b_hadrons: np.ndarray
    b_event: np.ndarray
    b_flavour: np.ndarray


class Jets(NamedTuple):
    """Jets within the cuts, hardest first, padded: momenta [event, jet, 4] in GeV, how many are
    real, and the bits of their tags [event, jet].
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
    return Recipe(
        simulate=partial(simulate_chunk, generated=generated),
        cuts=CUTS,
        dtype="f8",
        process=f"pp -> t tbar, 13 TeV, jets with{'' if settings.mpi else 'out'} multiparton interactions",
        pythia=pythia_settings(settings),
        packages=(("Pythia 8", "pythia8mc"), ("Pythia 8", "awkward"), ("FastJet", "fastjet")),
    )


def simulate_chunk(settings: JetSettings, index: int, generated: int = _CHUNK) -> Chunk:
    """Simulates chunk `index` of `generated` events before cuts."""
    blocks = [
        select(find_jets(hadrons, settings), settings)
        for hadrons in hadron_events(settings, index, generated)
    ]
    columns = {
        name: np.concatenate([block.columns[name] for block in blocks])
        for name in blocks[0].columns
    }
    return Chunk(
        np.concatenate([block.momenta for block in blocks]),
        np.sum([block.cut_flow for block in blocks], axis=0),
        columns,
    )


def hadron_events(settings: JetSettings, index: int, generated: int) -> Iterator[Hadrons]:
    """The hadrons of chunk `index`, in batches that fit into memory."""
    pythia = simulation.started(
        pythia_settings(settings), simulation.chunk_seed(settings.seed, index)
    )
    for start in range(0, generated, _BATCH):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of awkward and pythia8mc about each other
            batch = pythia.nextBatch(min(_BATCH, generated - start)).prt
            yield _hadrons(batch)


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
    order = np.lexsort((-p_t, event))
    momenta, event = momenta[order], event[order]
    count = np.bincount(event, minlength=hadrons.events)
    place = np.arange(len(event)) - (np.cumsum(count) - count)[event]
    padded = np.zeros((hadrons.events, max(count.max(initial=0), 6), 4))
    padded[event, place] = momenta
    # a tag for each pair of a b hadron and a jet of its event
    near = (
        _distance(hadrons.b_hadrons[:, None], padded[hadrons.b_event], count[hadrons.b_event])
        < settings.tag_delta_r
    )
    tag = np.zeros(padded.shape[:2], int)
    hadron, jet = np.nonzero(near)
    np.bitwise_or.at(tag, (hadrons.b_event[hadron], jet), hadrons.b_flavour[hadron])
    return Jets(padded, count, tag)


def select(jets: Jets, settings: JetSettings) -> Chunk:
    """The events that pass the cuts, as six ordered jets."""
    jet = np.arange(jets.momenta.shape[1])
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
        swap = np.take_along_axis(tag[group], tagged, axis=1) == [_BBAR, _B]
        tagged = np.where(swap.all(axis=1, keepdims=True), tagged[:, ::-1], tagged)
        light = np.stack([np.setdiff1d(jet[:n], row) for row in tagged])
        assigned, chi2[group] = assign(momenta[group], tagged, light, settings)
        chosen[group] = assigned
    six_jets = np.take_along_axis(momenta, chosen[:, :, None], axis=1)
    return Chunk(
        six_jets,
        flow,
        {"chi2": chi2.astype(np.float32), "n_extra_jets": (count - 6).astype(np.int32)},
    )


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
    disjoint = np.argwhere(~(pairs[:, None, :, None] == pairs[None, :, None, :]).any(axis=(2, 3)))
    w_jets = light[:, pairs]  # [event, pair, 2]
    row = np.arange(len(momenta))[:, None]
    w = momenta[row, w_jets[..., 0]] + momenta[row, w_jets[..., 1]]
    w_part = ((kinematics.mass(w) - settings.m_w_gev) / settings.sigma_w_gev) ** 2
    top, antitop = (
        w_part
        + (
            (kinematics.mass(w + momenta[row, tagged[:, side, None]]) - settings.m_t_gev)
            / settings.sigma_t_gev
        )
        ** 2
        for side in (0, 1)
    )
    chi2 = top[:, disjoint[:, 0]] + antitop[:, disjoint[:, 1]]
    best = chi2.argmin(axis=1)
    first, second = (w_jets[row[:, 0], disjoint[best, side]] for side in (0, 1))
    return np.concatenate([tagged[:, :1], first, tagged[:, 1:], second], axis=1), chi2[
        row[:, 0], best
    ]


def pythia_settings(settings: JetSettings) -> tuple[str, ...]:
    """Pythia's settings, without the seed."""
    return (*_PYTHIA, f"PartonLevel:MPI={'on' if settings.mpi else 'off'}")


def _hadrons(particles: Any) -> Hadrons:
    """From an awkward array of Pythia's event records."""
    import awkward as ak

    count = ak.to_numpy(ak.num(particles))
    flat = ak.flatten(particles)
    pdg, status, mother = (ak.to_numpy(flat[name]) for name in ("id", "status", "mother1"))
    momenta = np.stack([ak.to_numpy(flat.p[name]) for name in ("e", "px", "py", "pz")], axis=-1)
    event = np.repeat(np.arange(len(count)), count)
    visible = (status > 0) & ~np.isin(np.abs(pdg), _NEUTRINOS)
    flavour = _beauty(pdg)
    # the last b hadron of its decay chain decays weakly: it is nobody's mother in beauty
    mother_of_b = np.zeros(len(pdg), bool)
    mother_of_b[((np.cumsum(count) - count)[event] + mother)[flavour > 0]] = True
    weak = (flavour > 0) & ~mother_of_b
    return Hadrons(
        len(count), momenta[visible], event[visible], momenta[weak], event[weak], flavour[weak]
    )


def _beauty(pdg: np.ndarray) -> np.ndarray:
    """_B or _BBAR for hadrons with one b quark or antiquark, 0 for all other particles, by the
    digits of their PDG code.
    """
    code = np.abs(pdg)
    tens, hundreds, thousands = (code // step % 10 for step in (10, 100, 1000))
    baryon, meson = thousands == 5, (thousands == 0) & (hundreds == 5)
    # of quarkonia (5 twice) the b quarks annihilate; diquarks have no quark in the tens; codes of
    # seven digits are excited states or no hadrons at all
    hadron = (
        (tens > 0) & (tens < 5) & (hundreds > 0) & (code < 10_000_000) & ~(baryon & (hundreds == 5))
    )
    # a positive code means a b quark in a baryon and an antiquark in a meson: 521 is the B+, u bbar
    return np.where(hadron & (baryon | meson), np.where((pdg > 0) == baryon, _B, _BBAR), 0)


def _cluster(hadrons: Hadrons, settings: JetSettings) -> tuple[np.ndarray, np.ndarray]:
    """All jets above the cut in pT, flat: momenta [jet, 4] and their events."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import awkward as ak
        import fastjet

        fastjet._swig.ClusterSequence.set_fastjet_banner_stream(
            None
        )  # standard output belongs to --json  # pyright: ignore[reportAttributeAccessIssue]
        energy, px, py, pz = hadrons.visible.T
        particles = ak.unflatten(
            ak.zip({"px": px, "py": py, "pz": pz, "E": energy}),
            np.bincount(hadrons.visible_event, minlength=hadrons.events),
        )
        definition = fastjet.JetDefinition(fastjet.antikt_algorithm, settings.radius)
        found = fastjet.ClusterSequence(particles, definition).inclusive_jets(settings.pt_min_gev)
        flat = ak.flatten(found)
        momenta = np.stack([ak.to_numpy(flat[name]) for name in ("E", "px", "py", "pz")], axis=-1)
        return momenta, np.repeat(np.arange(hadrons.events), ak.to_numpy(ak.num(found)))


def _distance(hadron: np.ndarray, jets: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Delta R [hadron, jet] between a hadron [hadron, 1, 4] and the jets [hadron, jet, 4] of its
    event; infinite beyond the jets that are real.
    """
    real = np.arange(jets.shape[1]) < count[:, None]
    jets = np.where(real[..., None], jets, 1.0)
    eta = kinematics.pseudorapidity(hadron) - kinematics.pseudorapidity(jets)
    azimuth = kinematics.wrap(kinematics.phi(hadron) - kinematics.phi(jets))
    return np.where(real, np.hypot(eta, azimuth), np.inf)
