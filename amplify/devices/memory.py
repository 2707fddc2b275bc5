"""How many of something an accelerator holds at once: the compiler says what they need, before
anything runs. Without JAX until it is asked.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

_MARGIN = 0.9  # of the free memory: it comes in pieces
_TRIES = 8


class Fitting(NamedTuple):
    """A compiled function of members in groups.

    Attributes:
        run: takes the arguments it was compiled for.
        at_once: members of a group.
        needed: bytes of a group, beside those of its arguments.
    """

    run: Any
    at_once: int
    needed: int


def fitting(lowered: Callable[[int], Any], members: int, free: int | None) -> Fitting:
    """The function in the largest groups that fit, all of about one size.

    Args:
        lowered: from members at once to what is to be compiled.
        members: of a device.
        free: bytes of a device; None where it does not say.
    """
    from jax.errors import JaxRuntimeError

    at_once = members
    for _ in range(_TRIES):
        try:
            compiled = lowered(at_once).compile()
        except JaxRuntimeError as error:  # the compiler tries kernels on the device
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
