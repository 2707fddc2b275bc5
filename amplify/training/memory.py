"""Members of a training in groups that fit into the memory of an accelerator."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from amplify.devices.memory import Fitting, fitting, free_bytes, needed_bytes
from amplify.distributed import of_each, processes
from amplify.training.mesh import MEMBER

__all__ = ["Fitting", "fitting", "free_bytes", "in_groups", "in_turns", "needed_bytes"]


def in_groups(advance_by: Callable[[int], Any], mesh: Mesh) -> Callable[..., Any]:
    """A function of groups of members which fit into the memory of the devices, compiled at the
    first call with arguments of a shape.

    Args:
        advance_by: from members at once to a jitted function, whose second argument has arrays with
            one row per member.
        mesh: over which the members are shared out.
    """
    known: dict[Any, Any] = {}

    def advance(*arguments: Any) -> Any:
        shapes = tuple((x.shape, str(x.dtype)) for x in jax.tree.leaves(arguments))
        key = shapes, jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
        if key not in known:
            members = math.ceil(len(jax.tree.leaves(arguments[1])[0]) / mesh.shape[MEMBER])
            free = _least(free_bytes(tuple(mesh.local_devices)))
            fits = fitting(lambda size: advance_by(size).lower(*arguments), members, free)
            if fits.at_once < members:
                each = fits.needed / fits.at_once / 2**20
                said = f"{members} members of {each:.0f} MiB each do not fit into the memory"
                warnings.warn(f"{said}: {fits.at_once} are computed at once", stacklevel=3)
            known[key] = fits.run
        return known[key](*arguments)

    return advance


def in_turns(function: Callable[[Any], Any], tree: Any, at_once: int | None) -> Any:
    """`jax.lax.map` over arrays [member, ...], so many members at once; also where one of them has
    no numbers, which JAX refuses: a bias of L-GATr without scalars.

    >>> params = {"bias": jnp.zeros((4, 0)), "weight": jnp.arange(4.0)}
    >>> in_turns(lambda one: one, params, 2)["bias"].shape
    (4, 0)
    """
    leaves, structure = jax.tree.flatten(tree)
    if at_once is None or all(leaf.size for leaf in leaves):
        return jax.lax.map(function, tree, batch_size=at_once)
    found: dict[str, Any] = {}

    def with_numbers(some: list[Any]) -> list[Any]:
        rest = iter(some)
        one = [
            next(rest) if leaf.size else jnp.zeros(leaf.shape[1:], leaf.dtype) for leaf in leaves
        ]
        results, found["structure"] = jax.tree.flatten(function(structure.unflatten(one)))
        found["shapes"] = [(result.shape, result.dtype) for result in results]
        return [result for result in results if result.size]

    given = [leaf for leaf in leaves if leaf.size]
    rest = iter(jax.lax.map(with_numbers, given, batch_size=at_once))
    members = len(leaves[0])
    results = [
        next(rest) if math.prod(shape) else jnp.zeros((members, *shape), dtype)
        for shape, dtype in found["shapes"]
    ]
    return found["structure"].unflatten(results)


def _least(free: int | None) -> int | None:
    """Of all processes, which have to run the same groups."""
    if free is None or processes() == 1:
        return free
    # JAX would make a number of 64 bits shorter, and 60 GB a negative one
    return int(of_each(np.float32(free)).min())
