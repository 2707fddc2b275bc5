"""What a training would use here: the devices, their memory, the mesh for members and minibatches,
and how many members train at once.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from amplify.analysis.cost import available_bytes
from amplify.devices import usable_cores
from amplify.devices.found import why_none
from amplify.errors import InputError
from amplify.generators.coupling_flow import coupling_flow
from amplify.training import memory
from amplify.training.config import FitConfig
from amplify.training.loop import jitted
from amplify.training.mesh import BATCH, MEMBER, Layout, is_cpu, layout

_GB = 2**30


class Device(NamedTuple):
    """One device of JAX; bytes are None where it does not say."""

    id: int
    kind: str
    process: int
    bytes: int | None
    bytes_free: int | None


class Shares(NamedTuple):
    """The mesh of a training.

    Attributes:
        members: devices along members.
        batch: devices that share each minibatch.
        of_a_device: members of each device.
        filling: members that only fill up devices.
    """

    members: int
    batch: int
    of_a_device: int
    filling: int


class Group(NamedTuple):
    """Members of the default spline flow that a device trains at once, and bytes of each beside the
    events; bytes are None where members go one after the other.
    """

    at_once: int
    bytes: int | None


class Machine(NamedTuple):
    """What there is, and how a training would use it.

    Attributes:
        platform: of JAX: cpu, gpu or tpu.
        version: of JAX.
        devices: of all processes.
        cores: that this process may use.
        bytes_free: of the machine's memory.
        products: precision of products of matrices in networks.
        mesh: of a training with so many members.
        group: of members that train at once.
        no_accelerator: why there is none; None where there is one.
    """

    platform: str
    version: str
    devices: list[Device]
    cores: int
    bytes_free: float
    products: str
    mesh: Shares
    group: Group
    no_accelerator: str | None


def machine(members: int, batch: int, columns: int, n_train: int) -> Machine:
    """Looks at the devices; on accelerators it compiles a training of the default flow.

    Args:
        members: of the training that is asked for.
        batch: events of its minibatches.
        columns: of its events.
        n_train: its events.

    Raises:
        InputError: numbers below one, or JAX starts none of the platforms that it was told to use.
    """
    least = min(members, batch, columns, n_train)
    if least < 1:
        raise InputError("devices", "numbers of at least 1", str(least), "correct it")
    try:
        devices = jax.devices()
    except (RuntimeError, AssertionError) as error:  # JAX_PLATFORMS names one that is not there
        got = " ".join(str(error).split())[:150] or "none"
        fix = "correct JAX_PLATFORMS, or leave it out"
        raise InputError("JAX", "devices", got, fix) from None
    shared = layout(members, batch)
    platform = devices[0].platform
    return Machine(
        platform,
        jax.__version__,
        [_device(device) for device in devices],
        usable_cores(),
        available_bytes(),
        _products(),
        _shares(shared, members),
        _group(shared, batch, columns, n_train),
        why_none() if platform == "cpu" else None,
    )


def lines(found: Machine) -> list[str]:
    """The same for people."""
    mesh, group, many = found.mesh, found.group, len(found.devices)
    kinds = sorted({device.kind for device in found.devices})
    free = [d.bytes_free for d in found.devices if d.bytes_free is not None]
    size = f", {min(free) / _GB:.1f} GB free on the fullest" if free else ""
    if found.platform == "cpu":
        size = ", one per core as after amplify.devices.use_all_cores() in Python"
    each = f"{mesh.of_a_device} member{'s' if mesh.of_a_device > 1 else ''} a device"
    if mesh.batch > 1:
        each = f"{mesh.of_a_device} at a time on {mesh.batch} devices, which share its minibatch"
    filling = f"; {mesh.filling} of them repeated to fill up" if mesh.filling else ""
    at_once = f"{group.at_once} train at once, of the default spline flow"
    if group.bytes is None:
        at_once = "one after the other, which on a CPU is as fast as all at once"
    else:
        at_once += f" with {group.bytes / 2**20:.0f} MiB for each"
    said = [
        f"platform     {found.platform} (JAX {found.version})",
        f"devices      {many}, {', '.join(kinds)}{size}",
        f"cores        {found.cores}",
        f"memory       {found.bytes_free / _GB:.1f} GB free",
        f"products     {found.products}",
        f"mesh         {mesh.members} x {mesh.batch}, members x batch: {each}{filling}",
        f"at once      {at_once}",
    ]
    if found.no_accelerator is not None:
        said.append(f"accelerator  {found.no_accelerator}")
    return said


def _device(device: Any) -> Device:
    stats = device.memory_stats() if device.process_index == jax.process_index() else None
    limit = (stats or {}).get("bytes_limit")
    free = None if limit is None else limit - (stats or {}).get("bytes_in_use", 0)
    return Device(device.id, device.device_kind, device.process_index, limit, free)


def _products() -> str:
    """The package asks for full precision unless somebody has said what is wanted."""
    asked = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    return "single precision, in full" if asked is None else f"{asked}, as JAX was told"


def _shares(shared: Layout, members: int) -> Shares:
    rows, columns = shared.mesh.shape[MEMBER], shared.mesh.shape[BATCH]
    return Shares(rows, columns, shared.members // rows, shared.members - members)


def _group(shared: Layout, batch: int, columns: int, n_train: int) -> Group:
    """By the compiler's own analysis, without training."""
    if is_cpu(shared.mesh):
        return Group(1, None)
    of_a_device = math.ceil(shared.members / shared.mesh.shape[MEMBER])
    generator = coupling_flow(np.random.default_rng(0).normal(size=(1000, columns)))
    start, advance_by = jitted(generator, FitConfig(batch=batch), shared.mesh)
    state = jax.eval_shape(start, jax.random.split(jax.random.key(0), shared.members))
    keys = jax.random.split(jax.random.key(0), shared.members)
    rows = jax.ShapeDtypeStruct((shared.members, n_train), jnp.int32)
    table = (
        jax.ShapeDtypeStruct((n_train, columns), jnp.float32),
        jax.ShapeDtypeStruct((n_train,), jnp.float32),
    )
    free = memory.free_bytes(tuple(shared.mesh.local_devices))

    def lowered(at_once: int) -> Any:
        return advance_by(at_once).lower(state, keys, rows, *table, jnp.arange(1))

    fits = memory.fitting(lowered, of_a_device, free)
    return Group(fits.at_once, math.ceil(fits.needed / fits.at_once))
