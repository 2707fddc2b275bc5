"""Formats that are not read, and what to do with such a file: the exact command, or how to save it
so that reading it runs nothing.
"""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

Advice = Callable[[Path], tuple[str, str]]  # of a file: what it is, what to do


def _packed(program: str) -> Advice:
    def advice(path: Path) -> tuple[str, str]:
        return "a compressed file", f"unpack it: {program} {shlex.quote(str(path))}"

    return advice


def _text(path: Path) -> tuple[str, str]:
    source, target = (json.dumps(str(p)) for p in (path, path.with_suffix(".npy")))
    code = f"import numpy as np; np.save({target}, np.loadtxt({source}))"
    return "a table of text", f"convert it: python -c {shlex.quote(code)}"


def _pickle(path: Path) -> tuple[str, str]:
    target = path.with_suffix(".npy").name
    return (
        "a pickle",
        f"it could run code: where it was written, save numpy.asarray(x, dtype=float) with "
        f"numpy.save({target!r}, ...), or a frame with to_parquet",
    )


def _torch(path: Path) -> tuple[str, str]:
    target = path.with_suffix(".npy").name
    return (
        "a pickle of torch",
        "it could run code: where it was written, save the tensor with "
        f"numpy.save({target!r}, x.detach().cpu().numpy())",
    )


HOW_TO: dict[str, Advice] = {
    ".npy.gz": _packed("gunzip --keep"),
    ".*.gz": _packed("gunzip --keep"),
    ".*.bz2": _packed("bunzip2 --keep"),
    ".*.xz": _packed("unxz --keep"),
    ".*.zst": _packed("unzstd"),
    ".txt": _text,
    ".dat": _text,
    ".pkl": _pickle,
    ".pickle": _pickle,
    ".joblib": _pickle,
    ".pt": _torch,
    ".pth": _torch,
    ".ckpt": _torch,
}
