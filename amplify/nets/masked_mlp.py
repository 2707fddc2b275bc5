"""Multilayer perceptron whose outputs for a dimension depend on earlier dimensions alone (MADE,
arXiv:1502.03509).
"""

from collections.abc import Sequence

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Bool, Float

from amplify.nets.dense import swish
from amplify.nets.precision import in_full_precision


class MaskedMLP(nn.Module):
    """Dense layers with swish whose kernels are cut by masks; the last layer starts at zero, so a
    flow starts as the identity.

    Attributes:
        dims: the dimension 0, 1, ... that each input is a feature of; inputs may share one.
        hidden: widths of the hidden layers.
        per_dim: outputs for each dimension, which see inputs of earlier dimensions only; those of
            the first see none and are free numbers.
    """

    dims: Sequence[int]
    hidden: Sequence[int]
    per_dim: int

    @nn.compact
    @in_full_precision
    def __call__(self, x: Float[Array, "n features"]) -> Float[Array, "n out"]:
        """Outputs [n, dim * per_dim], those of a dimension side by side."""
        *inner, last = masks(self.dims, self.hidden, self.per_dim)
        h = x.T
        for k, mask in enumerate(inner):
            h = swish(self._affine(f"layer_{k}", mask, h, _SCALED))
        return self._affine("last", last, h, nn.initializers.zeros_init()).T

    def _affine(self, name: str, mask: np.ndarray, x: Array, start: nn.initializers.Initializer):
        """Of events that come last, as in `amplify.nets.dense`."""
        kernel = self.param(f"{name}_kernel", start, mask.shape)
        bias = self.param(f"{name}_bias", nn.initializers.zeros_init(), mask.shape[1:])
        return (kernel * mask.astype(kernel.dtype)).T @ x + bias[:, None]


_SCALED = nn.initializers.lecun_normal()


def masks(
    dims: Sequence[int], hidden: Sequence[int], per_dim: int
) -> list[Bool[np.ndarray, "inputs outputs"]]:
    """Which input of each layer reaches which output.

    A hidden unit of degree k sees the dimensions 0..k; the degrees 0..dim - 2 take turns. An output
    for dimension i sees hidden units of degrees below i.

    >>> masks((0, 1), (3,), per_dim=1)[0].astype(int)
    array([[1, 1, 1],
           [0, 0, 0]])
    """
    dim = max(dims) + 1
    seen = np.asarray(dims)
    found = []
    for width in hidden:
        degree = np.arange(width) % max(dim - 1, 1)
        found.append(seen[:, None] <= degree[None])
        seen = degree
    out = np.repeat(np.arange(dim), per_dim)
    return [*found, seen[:, None] < out[None]]
