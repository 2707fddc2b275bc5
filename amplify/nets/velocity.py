"""Velocity of a flow on plain vectors: a multilayer perceptron that sees the point and Fourier
features of time.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from amplify.nets.precision import in_full_precision


def fourier_features(t: Float[Array, " n"], frequencies: int) -> Float[Array, "n features"]:
    """The time itself and cos(pi k t), sin(pi k t) for k = 1..frequencies: [n, 1 + 2 frequencies].

    A network that sees nothing but t bends too slowly with it: the velocity of a narrow density
    changes fast as t nears 1.
    """
    phase = jnp.pi * t[:, None] * jnp.arange(1, frequencies + 1, dtype=t.dtype)[None]
    return jnp.concatenate([t[:, None], jnp.cos(phase), jnp.sin(phase)], axis=-1)


class VectorVelocity(nn.Module):
    """MLP velocity [n, dim] at points u [n, dim] and times t [n]; periodic dimensions are seen as
    cosine and sine, and so it is periodic in them.

    Attributes:
        hidden: widths of the hidden layers.
        periodic: flags of the dimensions that are angles in [-pi, pi).
        frequencies: Fourier features of time; 0 leaves the plain t.
    """

    hidden: Sequence[int]
    periodic: Sequence[bool]
    frequencies: int = 8

    @nn.compact
    @in_full_precision
    def __call__(self, u: Float[Array, "n dim"], t: Float[Array, " n"]) -> Float[Array, "n dim"]:
        """Velocity of every point."""
        h, time = u, fourier_features(t, self.frequencies)
        if any(self.periodic):
            circle: Bool[Array, "1 dim"] = jnp.asarray(self.periodic)[None]
            cosines, sines = jnp.where(circle, jnp.cos(u), u), jnp.where(circle, jnp.sin(u), 0.0)
            h = jnp.concatenate([cosines, sines], axis=-1)
        for width in self.hidden:
            h = jax.nn.swish(nn.Dense(width)(h) + nn.Dense(width, use_bias=False)(time))
        return nn.Dense(u.shape[1], kernel_init=nn.initializers.zeros_init())(h)
