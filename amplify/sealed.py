"""What a run keeps for itself, to go on after an interruption: small JSON and arrays that carry a
digest of what is in them. Damaged ones read as nothing, and are made again.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amplify.storage import whole, write_text

_SEAL = "sha256"
_BLOCK = 1 << 22  # bytes


def save_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a small file whole, with the digest of what is in it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "job.json"
    ...     save_json(path, {"seed": 3})
    ...     before = load_json(path)
    ...     _ = path.write_text(path.read_text().replace("3", "4", 1))
    ...     before, load_json(path)
    ({'seed': 3}, None)
    """
    write_text(path, json.dumps({**value, _SEAL: digest(value)}, indent=1))


def load_json(path: Path) -> dict[str, Any] | None:
    """What `save_json` wrote; None where there is nothing, or it is damaged."""
    try:
        value = json.loads(path.read_bytes())
        seal = value.pop(_SEAL)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None
    return value if seal == digest(value) else None


def digest(value: Any) -> str:
    """SHA-256 of a value that JSON knows."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def save_arrays(path: Path, arrays: Mapping[str, Any], of: str = "") -> None:
    """Writes an .npz file whole, with the digest of its arrays.

    Args:
        path: the file.
        arrays: by name; "sha256" is taken.
        of: what they belong to, such as the settings they were made with.
    """
    known = {name: np.asarray(values) for name, values in arrays.items()}
    with whole(path) as unfinished, open(unfinished, "wb") as file:
        np.savez(file, **known, sha256=arrays_digest(known, of))  # pyright: ignore


def load_arrays(path: Path, of: str = "") -> dict[str, np.ndarray] | None:
    """What `save_arrays` wrote; None where there is nothing, it is damaged, or belongs to something
    else.
    """
    try:
        with open(path, "rb") as file, np.load(file) as stored:
            arrays = dict(stored)
        seal = str(arrays.pop(_SEAL))
    except Exception:  # a damaged file can raise anything, and what it is does not matter
        return None
    return arrays if seal == arrays_digest(arrays, of) else None


def arrays_digest(arrays: Mapping[str, np.ndarray], of: str = "") -> str:
    """SHA-256 of arrays with their names, types and shapes, and of what they belong to."""
    found = hashlib.sha256(of.encode())
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {values.dtype.str} {arrays[name].shape} ".encode())
        found.update(values.tobytes() if values.dtype.kind in "mM" else values.data)
    return found.hexdigest()
