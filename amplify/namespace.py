"""NumPy in, NumPy out; JAX in, JAX out: estimators compute where their arrays live.

JAX is looked up, not imported: whoever has an array of JAX has imported it, and everybody else is
spared a second.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np


def namespace(*arrays: Any) -> Any:
    """`jax.numpy` where one of the arrays is JAX's, a tracer included; NumPy otherwise.

    >>> namespace(np.zeros(2), 1.0, None).__name__
    'numpy'
    """
    jax = sys.modules.get("jax")
    if jax is not None and any(isinstance(array, jax.Array) for array in arrays):
        return jax.numpy
    return np


def is_traced(array: Any) -> bool:
    """Whether there are no values to look at, as under jit: whoever called has to know them."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(array, jax.core.Tracer)


def in_blocks(
    function: Callable[[Any], Any], size: int = 1 << 14
) -> Callable[[np.ndarray], np.ndarray]:
    """A jitted function of events [n, dim] -> [n], applied to blocks of one size, so that it
    compiles once for samples of any size.
    """

    def blocked(x: np.ndarray) -> np.ndarray:
        if len(x) == 0:
            return np.zeros(0)
        padded = np.pad(np.asarray(x, np.float32), ((0, -len(x) % size), (0, 0)), mode="edge")
        return np.concatenate(
            [np.asarray(function(block)) for block in np.split(padded, len(padded) // size)]
        )[: len(x)]

    return blocked
