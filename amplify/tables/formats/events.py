"""Readers of HepMC and LHE, events with the particles in them: jagged arrays px, py, pz, E, pid,
status, and a weight for each event. Needs the extra [io].

All events are in memory: such files are text, and cannot be read from their middle.
"""

import gzip
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.tables.arrays import Stored, table_of
from amplify.tables.formats.common import missing, refuse_inside
from amplify.tables.opening import refuse_too_much
from amplify.tables.table import Jagged, Table

_MOMENTA = ("px", "py", "pz", "E")  # GeV
_CODES = ("pid", "status")
_LOOKED_AT = 1000  # events between two looks at how many there are
_LONGEST_LINE = 1 << 20  # bytes
_ENDS = b"HepMC::Asciiv3-END_EVENT_LISTING", b"HepMC::IO_GenEvent-END_EVENT_LISTING"


class _Event(NamedTuple):
    """Particles of an event: momenta [4, particle] in GeV, codes [2, particle], and its weight."""

    momenta: Any
    codes: Any
    weight: float


def hepmc(source: str, path: Path, inside: str) -> Table:
    """HepMC of version 2 or 3, packed or not; all particles, status 1 are those of the end."""
    try:
        import pyhepmc
    except ImportError:
        raise missing("HepMC", "pyhepmc") from None
    refuse_inside(source, path, inside, "one sample")

    def events() -> Iterator[_Event]:
        # it would write of damage to standard error, and go on
        pyhepmc.Setup.print_errors = pyhepmc.Setup.print_warnings = False
        pyhepmc.Setup.debug_level = 0
        with pyhepmc.open(str(path)) as file:
            for event in file:
                event.set_units(pyhepmc.Units.GEV, pyhepmc.Units.MM)
                p = event.numpy.particles
                weight = event.weights[0] if event.weights else 1.0
                yield _Event(np.array([p.px, p.py, p.pz, p.e]), np.array([p.pid, p.status]), weight)

    promised = _promised(source, path)
    table = _table(source, path, events())
    if table.n != promised:
        raise _damaged(source, f"{promised} complete events", str(table.n))
    return table


def _promised(source: str, path: Path) -> int:
    """Events that a file of HepMC begins, if it has all their particles and comes to its end.

    Raises:
        InputError: it does not.
    """
    n, left, complete, is_three = 0, 0, False, False
    with gzip.open(path) if path.suffix.lower() == ".gz" else open(path, "rb") as file:
        while line := file.readline(_LONGEST_LINE):
            is_three = is_three or line.startswith(b"HepMC::Asciiv3")
            begins = line.startswith(b"E ")
            complete = complete or line.startswith(_ENDS)
            if (begins or complete) and left:
                raise _damaged(source, "all particles of each event", f"{left} fewer in event {n}")
            if begins:
                n += 1
                left = int(line.split()[3]) if is_three else 0  # E, number, vertices, particles
            elif is_three and line.startswith(b"P "):
                left -= 1
    if not complete:
        raise _damaged(source, "the end of the listing", "none")
    return n


def _damaged(source: str, expected: str, got: str) -> InputError:
    return InputError(source, expected, got, "the file is damaged, write it again")


def lhe(source: str, path: Path, inside: str) -> Table:
    """LHE, packed or not; all particles, status 1 are those that leave."""
    try:
        import pylhe
    except ImportError:
        raise missing("LHE", "pylhe") from None
    refuse_inside(source, path, inside, "one sample")

    def events() -> Iterator[_Event]:
        # it would warn of damage, and leave out what follows
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            for event in pylhe.LHEFile.fromfile(path, with_attributes=False).events:
                p = event.particles
                momenta = np.array([(q.px, q.py, q.pz, q.e) for q in p], float).reshape(-1, 4).T
                codes = np.array([(q.id, q.status) for q in p], int).reshape(-1, 2).T
                yield _Event(momenta, codes, event.eventinfo.weight)

    return _table(source, path, events())


def _table(source: str, path: Path, events: Iterable[_Event]) -> Table:
    momenta, codes, weights, count = [], [], [], []
    for event in events:
        momenta.append(event.momenta)
        codes.append(event.codes.astype(np.int64))
        weights.append(event.weight)
        count.append(event.momenta.shape[1])
        if len(count) % _LOOKED_AT == 0:
            size = 8.0 * (len(_MOMENTA) + len(_CODES)) * sum(count)
            refuse_too_much(source, path, len(count), len(_MOMENTA) + len(_CODES), size)
    if not count:
        raise InputError(source, "at least one event", "0 rows", "give a sample with events")
    ends = np.concatenate([[0], np.cumsum(count)])
    arrays = {
        name: _jagged(values, ends)
        for name, values in chain(
            zip(_MOMENTA, np.concatenate(momenta, axis=1), strict=True),
            zip(_CODES, np.concatenate(codes, axis=1), strict=True),
        )
    }
    table = table_of(source, path, {"weight": _flat(weights), **arrays})
    return table._replace(is_shared=True)


def _flat(weights: Sequence[float]) -> Stored:
    values = np.array(weights, float)
    return Stored(values.dtype, values.shape, lambda start, stop: values[start:stop])


def _jagged(values: np.ndarray, ends: np.ndarray) -> Stored:
    """Values of all events, and where each event begins and the last ends."""

    def read(start: int, stop: int) -> Jagged:
        return Jagged(values[ends[start] : ends[stop]], np.diff(ends[start : stop + 1]))

    return Stored(values.dtype, (len(ends) - 1,), read, is_jagged=True)
