"""Multilayer perceptron."""

from collections.abc import Sequence

import flax.linen as nn
import jax
from jaxtyping import Array, Float


class MLP(nn.Module):
    """Dense layers with swish and dropout between them; the last layer starts at zero, so a flow starts as the identity.

    Attributes:
        hidden: widths of the hidden layers.
        out: width of the output.
        dropout: probability with which a hidden unit is dropped in training.
    """

    hidden: Sequence[int]
    out: int
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "n features"], *, train: bool = False) -> Float[Array, "n out"]:
        for width in self.hidden:
            x = jax.nn.swish(nn.Dense(width)(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.out, kernel_init=nn.initializers.zeros_init())(x)
