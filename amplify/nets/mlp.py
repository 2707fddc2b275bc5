"""Multilayer perceptron."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.nets.dense import Dense, swish
from amplify.nets.precision import in_full_precision


class MLP(nn.Module):
    """Dense layers with swish and dropout between them; the last layer starts at zero, so a flow
    starts as the identity.

    Attributes:
        hidden: widths of the hidden layers.
        out: width of the output.
        dropout: probability with which a hidden unit is dropped in training, rounded to 1/256.
    """

    hidden: Sequence[int]
    out: int
    dropout: float = 0.0

    @nn.compact
    @in_full_precision
    def __call__(
        self, x: Float[Array, "n features"], *, train: bool = False
    ) -> Float[Array, "n out"]:
        """Output [n, out]; dropout acts in training only and needs the rng "dropout"."""
        h = x.T
        for width in self.hidden:
            h = swish(Dense(width)(h))
            if train and self.dropout > 0:
                h = _dropout(self.make_rng("dropout"), h, self.dropout)
        return Dense(self.out, kernel_init=nn.initializers.zeros_init())(h).T


def _dropout(
    key: PRNGKeyArray, x: Float[Array, "features n"], rate: float
) -> Float[Array, "features n"]:
    """Like nn.Dropout from a quarter of the random bits, which on a CPU are a quarter of the whole
    training otherwise.
    """
    dropped = round(256 * rate)
    keep = jax.random.bits(key, x.shape, jnp.uint8) >= dropped
    return jnp.where(keep, x * (256 / (256 - dropped)), 0.0)
