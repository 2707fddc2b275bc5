"""Products of matrices in the precision of their numbers.

Graphics cards multiply matrices of single precision with ten bits unless they are told otherwise
(TF32): boosts then break at 1e-3, and log densities carry as much noise. The networks here are
bound by memory traffic and by the number of their operations, not by products: full precision
costs them little. A CPU computes in full precision anyway.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax


def in_full_precision(call: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose products of matrices, and those of its derivatives, have full precision;
    whoever sets `jax_default_matmul_precision`, or calls under `jax.default_matmul_precision`, gets
    what they ask for.
    """

    @wraps(call)
    def precise(*args: Any, **kwargs: Any) -> Any:
        if jax.config.jax_default_matmul_precision is not None:  # pyright: ignore[reportAttributeAccessIssue]
            return call(*args, **kwargs)
        with jax.default_matmul_precision("highest"):
            return call(*args, **kwargs)

    return precise
