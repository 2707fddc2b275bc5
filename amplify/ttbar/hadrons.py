"""What jets and tags are made of: the visible particles and the b hadrons of Pythia's events."""

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

B, BBAR = 1, 2  # bits of a flavour: a b quark inside, a b antiquark inside
_NEUTRINOS = (12, 14, 16)
_BATCH = 500  # events of hadrons in memory at once: 100 MB, 500 MB with multiparton interactions


class Hadrons(NamedTuple):
    """The particles of a number of events, flat: momenta [particle, 4] as (E, px, py, pz) in GeV,
    ordered by event.

    Attributes:
        events: how many there are.
        visible: momenta of all that leaves a trace in a detector: everything but neutrinos.
        visible_event: their events [particle].
        b_hadrons: momenta of weakly decaying b hadrons.
        b_event: their events [particle].
        b_flavour: B or BBAR [particle].
    """

    events: int
    visible: np.ndarray
    visible_event: np.ndarray
    b_hadrons: np.ndarray
    b_event: np.ndarray
    b_flavour: np.ndarray


def generate(pythia: Any, n: int) -> Iterator[Hadrons]:
    """The hadrons of the next n events, in batches that fit into memory."""
    for start in range(0, n, _BATCH):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of awkward and pythia8mc about each other
            batch = _hadrons(pythia.nextBatch(min(_BATCH, n - start)).prt)
        yield batch


def _hadrons(particles: Any) -> Hadrons:
    """From an awkward array of Pythia's event records."""
    import awkward as ak

    count = ak.to_numpy(ak.num(particles))
    flat = ak.flatten(particles)
    pdg, status, mother = (ak.to_numpy(flat[name]) for name in ("id", "status", "mother1"))
    momenta = np.stack([ak.to_numpy(flat.p[name]) for name in ("e", "px", "py", "pz")], axis=-1)
    event = np.repeat(np.arange(len(count)), count)
    visible = (status > 0) & ~np.isin(np.abs(pdg), _NEUTRINOS)
    flavour = b_flavour(pdg)
    # the last b hadron of its decay chain decays weakly: it is nobody's mother in beauty
    first_of_event = np.cumsum(count) - count
    mother_of_b = np.zeros(len(pdg), bool)
    mother_of_b[(first_of_event[event] + mother)[flavour > 0]] = True
    weak = (flavour > 0) & ~mother_of_b
    return Hadrons(
        events=len(count),
        visible=momenta[visible],
        visible_event=event[visible],
        b_hadrons=momenta[weak],
        b_event=event[weak],
        b_flavour=flavour[weak],
    )


def b_flavour(pdg: np.ndarray) -> np.ndarray:
    """B or BBAR for hadrons with one b quark or antiquark, 0 for all other particles, by the digits
    of their PDG code.

    >>> b_flavour(np.array([521, -521, 5122, 553, 211])).tolist()  # B+, B-, Lambda_b, Upsilon, pi+
    [2, 1, 1, 0, 0]
    """
    code = np.abs(pdg)
    tens, hundreds, thousands = (code // step % 10 for step in (10, 100, 1000))
    baryon, meson = thousands == 5, (thousands == 0) & (hundreds == 5)
    # of quarkonia (5 twice) the b quarks annihilate; diquarks have no quark in the tens; codes of
    # seven digits are excited states or no hadrons at all
    quarks = (tens > 0) & (tens < 5) & (hundreds > 0)
    hadron = quarks & (code < 10_000_000) & ~(baryon & (hundreds == 5))
    # a positive code means a b quark in a baryon and an antiquark in a meson: 521 is the B+, u bbar
    flavour = np.where((pdg > 0) == baryon, B, BBAR)
    return np.where(hadron & (baryon | meson), flavour, 0)
