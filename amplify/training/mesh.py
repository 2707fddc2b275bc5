"""The devices as one mesh, members x batch.

Members are independent and are shared out first. Where there are fewer members than devices, the
others share the minibatches of a member: its events are drawn and looked at as before, each device
computes for a part of them, and XLA adds up their gradients. Random numbers belong to the events
and not to the devices, so another mesh changes the rounding only.

Adding up costs an all-reduce in each step. On a CPU it costs more than it saves: a step of the
spline flow with 256 events took 1.2 ms on one core and 1.7 ms shared by two. Minibatches are
therefore shared there only where a user asks, `with amplify.devices.using_mesh(batch=2)`. What
needs no sum, as densities and generated events, is shared over all devices everywhere.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from amplify.devices import MeshWish, wished_mesh
from amplify.errors import InputError

MEMBER, BATCH = "member", "batch"
OF_MEMBER, OF_ALL = PartitionSpec(MEMBER), PartitionSpec()
OF_EVENT = PartitionSpec(BATCH)

_LEAST_SHARE = 64  # events of a minibatch on one accelerator


class Layout(NamedTuple):
    """Where members and their minibatches are computed; hashable.

    Attributes:
        mesh: of devices, with the axes "member" and "batch".
        members: how many there are with those that only fill up the devices.
    """

    mesh: Mesh
    members: int

    @property
    def of_member(self) -> NamedSharding:
        """Of arrays [member, ...]."""
        return NamedSharding(self.mesh, OF_MEMBER)

    @property
    def everywhere(self) -> NamedSharding:
        """Of arrays that every device has."""
        return NamedSharding(self.mesh, OF_ALL)


def layout(members: int, batch: int = 1) -> Layout:
    """The mesh for so many members over the devices of all processes.

    >>> shape = layout(1, 256).mesh.shape
    >>> shape["member"], shape["batch"]  # on a CPU
    (1, 1)

    As many devices as there are members have members of their own. Of the others, as many share the
    batch of each member as divide it: on accelerators, if each gets 64 events or more; on a CPU
    where `using_mesh` says so. Several processes use all of their devices, some for members that
    only fill up.

    Args:
        members: to compute.
        batch: events of a minibatch; 1 where it cannot be shared.

    Raises:
        InputError: `using_mesh` asks for more devices than there are, or for a part of a batch that
            does not divide it.
    """
    devices = jax.devices()
    every = jax.process_count() > 1
    on_cpu = devices[0].platform == "cpu"
    most = 1 if on_cpu else max(batch // _LEAST_SHARE, 1)
    wish = wished_mesh()
    if wish.members is None and wish.batch is None:
        rows, columns = shape(members, batch, len(devices), most, every=every)
    else:
        rows, columns = _wished(wish, members, batch, len(devices), most)
        rows = len(devices) // columns if every else rows
    return Layout(mesh_of(devices[: rows * columns], columns), math.ceil(members / rows) * rows)


def shape(members: int, batch: int, devices: int, most: int, *, every: bool) -> tuple[int, int]:
    """Devices along members, and along the batch of each.

    >>> shape(16, 256, 8, 8, every=False), shape(3, 256, 8, 8, every=False)
    ((8, 1), (3, 2))
    >>> shape(1, 250, 8, 8, every=False), shape(3, 256, 8, 8, every=True)
    ((1, 5), (4, 2))

    Args:
        members: to compute.
        batch: events that are to be shared out evenly.
        devices: there are.
        most: of them for one batch.
        every: all devices are to be used, as those of several processes have to be.
    """
    rows = min(members, devices)
    columns = min(devices // rows, most)
    while batch % columns or (every and devices % columns):
        columns -= 1
    return (devices // columns if every else rows), columns


def mesh_of(devices: Sequence[Any], batch: int = 1) -> Mesh:
    """These devices, so many of them for the batch of each member."""
    return Mesh(np.asarray(devices).reshape(-1, batch), (MEMBER, BATCH))


def padded(layout: Layout, tree: Any) -> Any:
    """Arrays [member, ...] on the devices of their members, the last one repeated until every
    device has as many.
    """

    def placed(leaf: Any) -> Any:
        rows = np.minimum(np.arange(layout.members), len(leaf) - 1)
        return _placed(leaf[rows] if len(rows) > len(leaf) else leaf, layout.of_member)

    return jax.tree.map(placed, tree)


def everywhere(layout: Layout, tree: Any) -> Any:
    """Arrays on every device of the mesh, once for all calls."""
    return jax.tree.map(lambda leaf: _placed(leaf, layout.everywhere), tree)


def cut(tree: Any, members: int) -> Any:
    """The first so many members, without those that only filled up."""
    return jax.tree.map(lambda leaf: leaf if len(leaf) == members else leaf[:members], tree)


def on_host(tree: Any) -> Any:
    """Arrays of NumPy with all members, in every process."""

    def whole(leaf: Any) -> np.ndarray:
        if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated:
            return np.asarray(leaf)
        return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))

    return jax.tree.map(whole, tree)


def local(tree: Any) -> Any:
    """Arrays of which this process has all, whoever computed them; as they are where there is one
    process.
    """
    return tree if jax.process_count() == 1 else jax.tree.map(jnp.asarray, on_host(tree))


def on_devices(
    function: Callable[..., Any], mesh: Mesh, in_specs: Any, donate: tuple[int, ...] = ()
) -> Any:
    """Jitted: every row of the mesh computes the function of its members, whose results have a
    leading axis [member].

    Args:
        function: of the members of one row; in it, `split` shares out events.
        mesh: of a `Layout`.
        in_specs: `OF_MEMBER` or `OF_ALL` of each argument.
        donate: arguments whose memory the results take.
    """
    # the batch is left to the compiler, which then sees numbers of events and of keys as if
    # there were one device
    by_hand = {MEMBER} if mesh.shape[BATCH] > 1 else {MEMBER, BATCH}
    mapped = jax.shard_map(
        function,
        mesh=mesh,
        in_specs=in_specs,
        out_specs=OF_MEMBER,
        axis_names=by_hand,
        check_vma=False,
    )
    results = NamedSharding(mesh, OF_MEMBER)
    return jax.jit(mapped, donate_argnums=donate, out_shardings=results)


def split(mesh: Mesh, events: Any) -> Any:
    """Inside of `on_devices`: arrays [event, ...] shared out over the devices of a member, where
    they divide them.
    """
    parts = mesh.shape[BATCH]

    def shared(leaf: Any) -> Any:
        if parts == 1 or leaf.shape[0] % parts:
            return leaf
        return jax.lax.with_sharding_constraint(leaf, OF_EVENT)

    return jax.tree.map(shared, events)


def _placed(leaf: Any, sharding: NamedSharding) -> Any:
    """An array that every process has, on the devices of all of them."""
    if sharding.is_fully_addressable:
        return jax.device_put(leaf, sharding)
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = _placed(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])


def is_cpu(mesh: Mesh) -> bool:
    """Its devices are cores, which take one member after the other."""
    return mesh.devices.flat[0].platform == "cpu"


def _wished(wish: MeshWish, members: int, batch: int, devices: int, most: int) -> tuple[int, int]:
    """The mesh that `using_mesh` asks for, as far as there are members and events for it."""
    what, fix = "using_mesh", "ask for fewer, or leave it out"
    rows, columns = wish.members or 1, wish.batch
    if columns is None:
        columns = shape(rows, batch, devices, most, every=False)[1]
    if rows * columns > devices:
        raise InputError(what, f"at most {devices} devices", f"{rows} x {columns}", fix)
    if batch == 1:  # cannot be shared
        columns = 1
    if jax.process_count() > 1 and devices % columns:  # a process may be left without any
        expected = f"a part of the {devices} devices of all processes"
        raise InputError(what, expected, f"{columns} for a batch", fix)
    if batch % columns:
        expected, got = f"a batch that divides into {columns}", f"{batch} events"
        raise InputError(what, expected, got, fix)
    return min(wish.members or devices // columns, members), columns
