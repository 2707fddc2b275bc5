"""Top-pair events from a file, ours or that of the original study: its layout is recognised, and
its momenta are checked.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError
from amplify.ttbar import original as original_ttbar
from amplify.ttbar.momenta import check_momenta


class EventFile(NamedTuple):
    """Four-momenta [event, particle, 4] as (E, px, py, pz) in GeV, the particles' names, and what
    the file says of itself.
    """

    momenta: np.ndarray
    names: tuple[str, ...]
    attributes: dict[str, Any]


def open_events(
    source: Path | str, *, start: int = 0, stop: int | None = None, **conditions: Any
) -> EventFile:
    """Reads events that `amplify ttbar` wrote, or those of the original study (arXiv:2405.14806).

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
        with original_ttbar.rows(path) as rows:
            particles = rows.shape[1] // (1 if rows.ndim == 3 else 4) if rows.ndim > 1 else 0
        found = _original(path, None, max(particles, original_ttbar.HARD), start, stop)
    else:
        found = _from_hdf5(path, inside, start, stop)
    wanted: dict[str, Any] = {"particles": None} | conditions
    check_momenta(found.momenta, str(source), names=found.names, first=start, **wanted)
    return found


def _from_hdf5(path: Path, inside: str, start: int, stop: int | None) -> EventFile:
    import h5py

    with original_ttbar.opened(path) as file:
        if isinstance(file.get("momenta"), h5py.Dataset) and not inside:
            return _ours(path, file, start, stop)
        keys = [inside] if inside else sorted(str(key) for key in file)
        named = [(key, found) for key in keys if (found := re.search(r"\+(\d+)jet$", key))]
        if not named:
            listed = inside or ", ".join(keys[:5]) or "nothing"
            raise InputError(
                str(path),
                "a data set momenta, or ttbar+0jet of the original study",
                listed,
                "write one with: amplify ttbar",
            )
    dataset, jets = named[0]
    return _original(path, dataset, original_ttbar.HARD + int(jets[1]), start, stop)


def _ours(path: Path, file: Any, start: int, stop: int | None) -> EventFile:
    stored = file["momenta"]
    if stored.ndim != 3:
        raise InputError(
            str(path),
            "momenta [event, particle, 4]",
            f"shape {list(stored.shape)}",
            "write one with: amplify ttbar",
        )
    try:
        momenta = stored[start:stop]
    except OSError as error:
        raise InputError(
            str(path), "data that HDF5 can decode", f"'{error}'", "check the file"
        ) from None
    names = _decoded(
        stored.attrs.get("particles"), [f"particle {i}" for i in range(momenta.shape[1])]
    )
    return EventFile(
        momenta, tuple(names), {name: _decoded(value, value) for name, value in file.attrs.items()}
    )


def _original(
    path: Path, dataset: str | None, particles: int, start: int, stop: int | None
) -> EventFile:
    extra_jets = particles - original_ttbar.HARD
    momenta = original_ttbar.load_original(
        path, extra_jets, dataset=dataset, start=start, stop=stop
    )
    names = original_ttbar.PARTICLES + tuple(f"j{i + 1}" for i in range(extra_jets))
    return EventFile(
        momenta, names, {"source": "arXiv:2405.14806", "dataset": dataset, "extra_jets": extra_jets}
    )


def _split(source: str) -> tuple[Path, str]:
    """FILE and the path inside it."""
    whole = Path(source)
    file, colon, inside = source.rpartition(":")
    return (
        (Path(file), inside)
        if colon and not whole.exists() and Path(file).is_file()
        else (whole, "")
    )


def _decoded(value: Any, otherwise: Any) -> Any:
    """A JSON attribute, or what it is if it is none."""
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return otherwise
