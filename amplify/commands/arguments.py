"""Kinds of arguments that commands share."""

import re
from typing import Annotated, Literal

import tyro

from amplify.errors import InputError


def _count(text: str) -> int:
    """10000 or 1e4."""
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if not float(text).is_integer():
        raise ValueError(f"{text} is no whole number")
    return int(float(text))


_COUNT = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="INT",
    instance_from_str=lambda words: _count(words[0]),
    is_instance=lambda x: isinstance(x, int),
    str_from_instance=lambda n: [str(n)],
)
Count = Annotated[int, _COUNT]
Figures = Literal["pdf", "svg", "png"] | None
MembersAre = (
    Literal["bootstrap", "same-data", "refit", "variational", "sgmcmc", "nuts", "dropout"] | None
)
Dask = Annotated[str | None, tyro.conf.arg(metavar="ADDRESS|local[:N]|FILE.yaml")]
Json = Annotated[str | None, tyro.conf.arg(name="json", metavar="-|FILE")]


def check_seed(seed: int) -> None:
    """Refuses what is no seed."""
    if not 0 <= seed < 2**32:
        raise InputError("--seed", "0 to 4294967295", str(seed)[:30], "choose another")
