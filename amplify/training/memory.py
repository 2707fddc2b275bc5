"""How many members of a training an accelerator holds at once: the compiler says what they need,
before anything runs.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

_MARGIN = 0.9  # of the free memory: it comes in pieces
_TRIES = 8


class Fitting(NamedTuple):
    """A compiled training of members in groups.

    Attributes:
        run: takes the arguments it was compiled for.
        at_once: members of a group.
        needed: bytes of a group, beside those of its arguments.
    """

    run: Any
    at_once: int
    needed: int


def in_groups(advance_by: Callable[[int], Any], devices: tuple[Any, ...]) -> Callable[..., Any]:
    """A function that trains in groups of members which fit into the memory of the devices,
    compiled at the first call with arguments of a shape.

    Args:
        advance_by: from members at once to a jitted function, whose second argument has one row per
            member.
        devices: over which the members are shared out.
    """
    known: dict[Any, Any] = {}

    def advance(*arguments: Any) -> Any:
        shapes = tuple((x.shape, str(x.dtype)) for x in jax.tree.leaves(arguments))
        key = shapes, jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
        if key not in known:
            members = math.ceil(len(arguments[1]) / len(devices))
            fits = fitting(
                lambda size: advance_by(size).lower(*arguments), members, free_bytes(devices)
            )
            if fits.at_once < members:
                each = fits.needed / fits.at_once / 2**20
                said = f"{members} members of {each:.0f} MiB each do not fit into the memory"
                warnings.warn(f"{said}: {fits.at_once} train at once", stacklevel=3)
            known[key] = fits.run
        return known[key](*arguments)

    return advance


def fitting(lowered: Callable[[int], Any], members: int, free: int | None) -> Fitting:
    """The training in the largest groups that fit, all of about one size.

    Args:
        lowered: from members at once to what is to be compiled.
        members: of a device.
        free: bytes of a device; None where it does not say.
    """
    at_once = members
    for _ in range(_TRIES):
        try:
            compiled = lowered(at_once).compile()
        except jax.errors.JaxRuntimeError as error:  # the compiler tries kernels on the device
            if "RESOURCE_EXHAUSTED" not in str(error) or at_once == 1:
                raise
            at_once = math.ceil(at_once / 2)
            continue
        needed = needed_bytes(compiled)
        if free is None or needed <= free or at_once == 1:
            return Fitting(compiled, at_once, needed)
        groups = math.ceil(members / max(int(at_once * free / needed), 1))
        at_once = min(math.ceil(members / groups), at_once - 1)
    compiled = lowered(1).compile()
    return Fitting(compiled, 1, needed_bytes(compiled))


def needed_bytes(compiled: Any) -> int:
    """What a compiled function allocates: temporary arrays and results, without its arguments and
    the results that take their place.
    """
    said = compiled.memory_analysis()
    if said is None:
        return 0
    return said.temp_size_in_bytes + said.output_size_in_bytes - said.alias_size_in_bytes


def free_bytes(devices: tuple[Any, ...]) -> int | None:
    """Bytes that may be used on each of the devices, of the fullest; None where one does not say,
    as CPUs.
    """
    stats = [device.memory_stats() for device in devices]
    if not all(stats) or not all("bytes_limit" in s for s in stats):
        return None
    return int(_MARGIN * min(s["bytes_limit"] - s.get("bytes_in_use", 0) for s in stats))
