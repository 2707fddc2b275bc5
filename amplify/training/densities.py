"""Log densities of events under all members, on all devices of this process: members are shared
out as in training, and events over the devices that are left, since nothing has to be added up.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from amplify.devices import wished_mesh
from amplify.namespace import is_traced
from amplify.training.memory import in_groups, in_turns
from amplify.training.mesh import (
    BATCH,
    MEMBER,
    OF_EVENT,
    OF_MEMBER,
    Layout,
    is_cpu,
    mesh_of,
    padded,
)
from amplify.types import Params

_BLOCK = 1 << 14  # events of a device at once, of NumPy's

LogProb = Callable[[Params, Float[Array, "n dim"]], Float[Array, " n"]]


def log_prob_of_members(
    log_prob: LogProb, params: Params, x: Float[Any, "n dim"]
) -> Float[Any, "member n"]:
    """JAX's of JAX's, also under jit, compiled for their number of events; of NumPy's in blocks, on
    the host and in single precision.

    Args:
        log_prob: (params, x) -> [n] of one member, event by event.
        params: of the members [member, ...].
        x: events.
    """
    leaves = jax.tree.leaves(params)
    members = len(leaves[0])
    if any(map(is_traced, [x, *leaves])):
        return jax.lax.map(lambda of_member: log_prob(of_member, x), params)
    in_jax = isinstance(x, jax.Array)
    if not len(x):
        return jnp.zeros((members, 0)) if in_jax else np.zeros((members, 0))
    shared = _layout(members)
    density, there = _compiled(log_prob, shared.mesh), padded(shared, params)
    columns = shared.mesh.shape[BATCH]
    size = len(x) + -len(x) % columns if in_jax else _BLOCK * columns
    x = x if in_jax else np.asarray(x, np.float32)
    blocks = (_filled(x[first : first + size], size) for first in range(0, len(x), size))
    if in_jax:  # whichever device they lie on
        by_event = NamedSharding(shared.mesh, OF_EVENT)
        blocks = (jax.device_put(block, by_event) for block in blocks)
    found = [np.asarray(density(block, there))[:members] for block in blocks]
    found = np.concatenate(found, axis=1)[:, : len(x)]
    # from the host it goes with arrays of any device
    return jnp.asarray(found) if in_jax else found


def _layout(members: int) -> Layout:
    """Devices of this process: for members first, the others for events; `using_mesh` may say
    otherwise.
    """
    devices, wish = jax.local_devices(), wished_mesh()
    rows = min(members, wish.members or len(devices) // (wish.batch or 1), len(devices))
    rows = max(rows, 1)
    columns = min(wish.batch or len(devices), len(devices) // rows)
    mesh = mesh_of(devices[: rows * columns], columns)
    return Layout(mesh, math.ceil(members / rows) * rows)


def _filled(x: Any, size: int) -> Any:
    """Events, the last one repeated until there are so many."""
    missing = (0, size - len(x)), (0, 0)
    if size == len(x):
        return x
    return (jnp if isinstance(x, jax.Array) else np).pad(x, missing, mode="edge")


@lru_cache(maxsize=32)
def _compiled(log_prob: LogProb, mesh: Mesh) -> Callable[[Any, Params], Array]:
    """(x [n, dim], params [member, ...]) -> [member, n], shared out over the mesh."""

    def density_by(at_once: int | None) -> Any:
        def density(x: Array, params: Params) -> Array:
            return in_turns(lambda one: log_prob(one, x), params, at_once)

        mapped = jax.shard_map(
            density,
            mesh=mesh,
            in_specs=(OF_EVENT, OF_MEMBER),
            out_specs=PartitionSpec(MEMBER, BATCH),
            check_vma=False,
        )
        return jax.jit(mapped)

    return density_by(None) if is_cpu(mesh) else in_groups(density_by, mesh)
