"""The events of the original study, arXiv:2405.14806 and 2411.00446: MadGraph, Pythia and Delphes,
fully hadronic top pairs with up to four extra jets.

Its authors' programs (github.com/heidelberg-hepml/lorentz-gatr) read a file
`event_generation_ttbar.hdf5` of 4.7 GB with one data set for each number n of extra jets,
`ttbar+0jet` to `ttbar+4jet`. A row is one event: (E, px, py, pz) in GeV of b1, q1, q2, b2, q3, q4
and the extra jets, 4 (6 + n) numbers. That is what those programs do with the rows; the file itself
was not at hand when this was written, so the name of the data set and the order of the components
can be given. Which of the two tops is the antitop is not known there. The same rows unpacked as
.npy files, as these programs want them, are read as well.
"""

import contextlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.ttbar.momenta import check_momenta

CARTESIAN = ("E", "px", "py", "pz")
JET = ("pt", "phi", "eta", "m")
PARTICLES = ("b1", "q1", "q2", "b2", "q3", "q4")
HARD = 6


def load_original(
    path: Path,
    extra_jets: int = 0,
    *,
    dataset: str | None = None,
    components: tuple[str, ...] = CARTESIAN,
    start: int = 0,
    stop: int | None = None,
) -> np.ndarray:
    """Events of the original study in our order, (b, q, q', bbar, q, q') and then the extra jets.

    Args:
        path: the HDF5 file, or an .npy file of one multiplicity.
        extra_jets: which of the data sets, 0 to 4.
        dataset: its path in the file if it is not `ttbar+{extra_jets}jet`.
        components: the four numbers of a particle as they are stored: E, px, py, pz in any order,
            or pt, phi, eta, m in any order.
        start: first event to read.
        stop: the event after the last one; None reads all.

    Returns:
        Four-momenta [event, 6 + extra_jets, 4] as (E, px, py, pz) in GeV, in the precision of the
        file.

    Raises:
        InputError: the file has another layout, or its momenta make no sense.
    """
    if sorted(components) not in (sorted(CARTESIAN), sorted(JET)):
        expected = "E, px, py, pz or pt, phi, eta, m in any order"
        raise InputError("components", expected, ", ".join(components), "name each once")
    if not path.is_file():
        raise InputError(str(path), "a file", "no such file", "check the path")
    particles = HARD + extra_jets
    with rows(path, dataset or f"ttbar+{extra_jets}jet") as events:
        flat, stacked = (4 * particles,), (particles, 4)
        if events.shape[1:] not in (flat, stacked):
            shapes = f"shape [event, {4 * particles}] or [event, {particles}, 4]"
            expected, got = f"{particles} particles: {shapes}", f"{list(events.shape)}"
            raise InputError(str(path), expected, got, "check the number of extra jets")
        try:
            stored = np.asarray(events[start:stop]).reshape(-1, particles, 4)
        except OSError as error:  # HDF5 without a filter that it needs
            expected, got = "data that HDF5 can decode", f"'{error}'"
            fix = "pip install hdf5plugin, or check the file"
            raise InputError(str(path), expected, got, fix) from None
    momenta = _to_cartesian(stored, components)
    check_momenta(momenta, str(path), particles=particles, names=PARTICLES, first=start)
    return momenta


def _to_cartesian(stored: np.ndarray, components: tuple[str, ...]) -> np.ndarray:
    column = {name: stored[..., i] for i, name in enumerate(components)}
    if "E" in column:
        return np.stack([column[name] for name in CARTESIAN], axis=-1)
    p_t, azimuth, eta, mass = (column[name] for name in JET)
    momentum = [p_t * np.cos(azimuth), p_t * np.sin(azimuth), p_t * np.sinh(eta)]
    return np.stack([np.sqrt((p_t * np.cosh(eta)) ** 2 + mass**2), *momentum], axis=-1)


@contextlib.contextmanager
def rows(path: Path, dataset: str = "") -> Iterator[Any]:
    """The array in an .npy file, or the data set in an HDF5 file, not read yet."""
    if path.suffix == ".npy":
        try:
            array = np.load(path, mmap_mode="r")
        except (ValueError, EOFError) as error:
            raise InputError(str(path), "an array", str(error), "check the file") from None
        yield array
        return
    import h5py

    with opened(path) as file:
        if not isinstance(file.get(dataset), h5py.Dataset):
            got = ", ".join(file) or "nothing"
            raise InputError(str(path), f"a data set {dataset}", got, "name the data set")
        yield file[dataset]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An HDF5 file."""
    import h5py

    with contextlib.suppress(ImportError):
        import_module("hdf5plugin")  # registers filters, should the file need one
    try:
        file = h5py.File(path)
    except OSError as error:
        raise InputError(str(path), "an HDF5 file", str(error), "check the file") from None
    with file:
        yield file
