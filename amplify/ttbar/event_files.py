"""Files of top-pair events: ours, written and read, and that of the original study. The layout is
recognised, and momenta are checked.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.storage import whole
from amplify.ttbar import kinematics, original
from amplify.ttbar.momenta import check_momenta

_ROWS = 8192  # events in a chunk of HDF5


class EventFile(NamedTuple):
    """Events from a file.

    Attributes:
        momenta: [event, particle, 4] as (E, px, py, pz) in GeV.
        names: of the particles.
        attributes: what the file says of itself.
    """

    momenta: np.ndarray
    names: tuple[str, ...]
    attributes: dict[str, Any]


def open_events(
    source: Path | str, *, start: int = 0, stop: int | None = None, **conditions: Any
) -> EventFile:
    """Reads events that `amplify ttbar` wrote, or those of the original study (arXiv:2405.14806).

    >>> import tempfile
    >>> momenta = kinematics.massless(np.full((3, 24), 50.0), np.zeros(24), np.arange(24.0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "ttbar_0j.npy"
    ...     np.save(file, momenta[:, :6].reshape(3, 24))
    ...     open_events(file, stop=2, pt_min_gev=22.0).momenta.shape
    (2, 6, 4)

    Args:
        source: FILE, or FILE:ttbar+1jet for a data set in a file of the original study; its events
            without extra jets are the default.
        start: first event to read.
        stop: the event after the last one; None reads all.
        conditions: what the momenta have to fulfil, as in `check_momenta`: particles, pt_min_gev,
            eta_max, delta_r_min, massive.

    Raises:
        InputError: no such file, another layout, or momenta that do not fulfil the conditions.
    """
    path, inside = _split(str(source))
    if not path.is_file():
        raise InputError(str(source), "a file", "no such file", "simulate one with: amplify ttbar")
    if path.suffix == ".npy":
        with original.rows(path) as rows:
            particles = rows.shape[1] // (1 if rows.ndim == 3 else 4) if rows.ndim > 1 else 0
        events = _original(path, None, max(particles, original.HARD), start, stop)
    else:
        events = _from_hdf5(path, inside, start, stop)
    conditions = {"particles": None} | conditions
    check_momenta(events.momenta, str(source), names=events.names, first=start, **conditions)
    return events


def _from_hdf5(path: Path, inside: str, start: int, stop: int | None) -> EventFile:
    import h5py

    with original.opened(path) as file:
        if isinstance(file.get("momenta"), h5py.Dataset) and not inside:
            return _ours(path, file, start, stop)
        keys = [inside] if inside else sorted(str(key) for key in file)
        named = [(key, match) for key in keys if (match := re.search(r"\+(\d+)jet$", key))]
        if not named:
            expected = "a data set momenta, or ttbar+0jet of the original study"
            got = inside or ", ".join(keys[:5]) or "nothing"
            raise InputError(str(path), expected, got, "write one with: amplify ttbar")
    dataset, extra_jets = named[0]
    return _original(path, dataset, original.HARD + int(extra_jets[1]), start, stop)


def _ours(path: Path, file: Any, start: int, stop: int | None) -> EventFile:
    stored = file["momenta"]
    if stored.ndim != 3:
        shape = f"shape {list(stored.shape)}"
        fix = "write one with: amplify ttbar"
        raise InputError(str(path), "momenta [event, particle, 4]", shape, fix)
    try:
        momenta = stored[start:stop]
    except OSError as error:
        expected = "data that HDF5 can decode"
        raise InputError(str(path), expected, f"'{error}'", "check the file") from None
    numbered = [f"particle {i}" for i in range(momenta.shape[1])]
    names = _decoded(stored.attrs.get("particles"), numbered)
    attributes = {name: _decoded(value, value) for name, value in file.attrs.items()}
    return EventFile(momenta, tuple(names), attributes)


def _original(
    path: Path, dataset: str | None, particles: int, start: int, stop: int | None
) -> EventFile:
    extra_jets = particles - original.HARD
    momenta = original.load_original(path, extra_jets, dataset=dataset, start=start, stop=stop)
    names = original.PARTICLES + tuple(f"j{i + 1}" for i in range(extra_jets))
    attributes = {"source": "arXiv:2405.14806", "dataset": dataset, "extra_jets": extra_jets}
    return EventFile(momenta, names, attributes)


def _split(source: str) -> tuple[Path, str]:
    """FILE and the path inside it."""
    as_one, (file, colon, inside) = Path(source), source.rpartition(":")
    if colon and not as_one.exists() and Path(file).is_file():
        return Path(file), inside
    return as_one, ""


def _decoded(value: Any, otherwise: Any) -> Any:
    """A JSON attribute, or what it is if it is none."""
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return otherwise


def write_events(
    out: Path,
    n: int,
    dtype: str,
    blocks: Iterable[Mapping[str, np.ndarray]],
    attributes: Mapping[str, Any],
) -> None:
    """Writes n events of six partons or jets as HDF5, with a checksum of each piece; the file
    appears when it is complete.

    It holds `momenta` [event, 6, 4] in GeV as (E, px, py, pz), `observables` with one column per
    kinematics.OBSERVABLES and per further column of the blocks, and the attributes as JSON.

    Args:
        out: the file, which must not exist yet.
        n: events in all blocks.
        dtype: of the momenta in the file.
        blocks: columns by name, one of them `momenta`, which come one after the other.
        attributes: what the file says of itself.

    Raises:
        InputError: `out` exists.
        OSError: the disk is full.
    """
    import h5py

    with whole(out, new=True) as unfinished:
        _reserve(unfinished, n, dtype)
        with h5py.File(unfinished, "w") as file:
            made = partial(_dataset, file, n)
            momenta = made("momenta", np.dtype(dtype), (6, 4))
            observables = kinematics.OBSERVABLES
            columns = {name: made(f"observables/{name}", np.dtype("f4")) for name in observables}
            start = 0
            for block in blocks:
                rows = slice(start, start + len(block["momenta"]))
                momenta[rows] = block["momenta"]
                known = kinematics.observables(block["momenta"]).T
                values = dict(zip(observables, known, strict=True))
                values |= {name: column for name, column in block.items() if name != "momenta"}
                for name, value in values.items():
                    if name not in columns:
                        columns[name] = made(f"observables/{name}", value.dtype)
                    columns[name][rows] = value
                start = rows.stop
            momenta.attrs["columns"] = json.dumps(["E_gev", "px_gev", "py_gev", "pz_gev"])
            momenta.attrs["particles"] = json.dumps(kinematics.PARTICLES)
            for name, value in attributes.items():
                file.attrs[name] = json.dumps(value)


def _dataset(file: Any, n: int, name: str, dtype: np.dtype, shape: tuple[int, ...] = ()) -> Any:
    """A data set whose damage is noticed when it is read."""
    chunks = (min(n, _ROWS), *shape)
    return file.create_dataset(name, (n, *shape), dtype, chunks=chunks, fletcher32=True)


def _reserve(path: Path, n: int, dtype: str) -> None:
    """Fills a file of the size that the result will have: HDF5 does not end well on a full disk,
    Python does.
    """
    rows = min(n, _ROWS) * math.ceil(n / _ROWS)
    momenta = rows * 24 * np.dtype(dtype).itemsize
    columns = 4 * rows * (len(kinematics.OBSERVABLES) + 2)
    size, zeros = momenta + columns + (1 << 16), bytes(1 << 20)
    with open(path, "wb") as file:
        for start in range(0, size, len(zeros)):
            file.write(zeros[: size - start])


def check_free(out: Path) -> None:
    """Raises InputError if there is a file of that name."""
    if out.exists():
        fix = "choose another --out; nothing is overwritten"
        raise InputError(str(out), "a file that does not exist yet", "an existing file", fix)
