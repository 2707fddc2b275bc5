"""What decides the bits of a training, in a few words: whoever goes on with it compares them."""

import hashlib
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from amplify.distributed import processes
from amplify.training.loop import truncation_of
from amplify.types import Generator, Trainable
from amplify.version import release

Settings = dict[str, Any]  # as JSON knows it

_FEW = 8  # events that the code of a loss is looked at with


def digest_of(*arrays: Any) -> str:
    """SHA-256 of arrays: their shapes, types and numbers; keys by their data, None as nothing."""
    found = hashlib.sha256()
    for array in arrays:
        if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            array = jax.random.key_data(array)
        values = np.ascontiguousarray(array if array is not None else [])
        found.update(f"{values.dtype.str} {values.shape} ".encode())
        found.update(values.data)
    return found.hexdigest()


@lru_cache(maxsize=32)  # tracing takes a second
def code_of(generator: Generator | Trainable) -> Settings:
    """What a generator is: its params, and the compiled code of its loss and its truncation, with
    all settings that they close over but for large arrays.
    """
    params, key = (jax.eval_shape(f, jax.random.key(0)) for f in (generator.init, lambda key: key))
    x, weight = (jax.ShapeDtypeStruct(s, np.float32) for s in ((_FEW, generator.dim), (_FEW,)))
    code = [jax.jit(generator.loss).lower(params, key, x, weight).as_text()]
    truncation = truncation_of(generator)
    if truncation is not None:
        others = truncation._replace(passes=None, candidates=None)  # pyright: ignore
        code += [jax.jit(truncation.passes).lower(x).as_text(), str(others)]
    leaves = jax.tree_util.tree_leaves_with_path(params)
    named = {jax.tree_util.keystr(path): f"{leaf.dtype}{leaf.shape}" for path, leaf in leaves}
    return {"params": named, "code": hashlib.sha256("".join(code).encode()).hexdigest()}


def machine_of(mesh: Any) -> Settings:
    """What else decides the bits: devices, how they are used, and who compiles."""
    devices = sorted({device.device_kind for device in mesh.devices.flat})
    return {
        "mesh": dict(mesh.shape),
        "devices": devices,
        "processes": processes(),
        "versions": {"jax": jax.__version__, "amplify": release()},
    }
