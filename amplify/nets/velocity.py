"""Velocity of a flow on plain vectors: a multilayer perceptron that sees the point and Fourier
features of time.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from amplify.nets.dense import Dense, swish
from amplify.nets.precision import in_full_precision


def fourier_features(t: Float[Array, " n"], frequencies: int) -> Float[Array, "n features"]:
    """The time itself and cos(pi k t), sin(pi k t) for k = 1..frequencies: [n, 1 + 2 frequencies].

    A network that sees nothing but t bends too slowly with it: the velocity of a narrow density
    changes fast as t nears 1.
    """
    return _features(t, frequencies).T


def _features(t: Float[Array, " n"], frequencies: int) -> Float[Array, "features n"]:
    """The same, times last. One cosine and one sine, which cost a CPU twenty times as much as an
    exponential function each; the others by addition of angles, half of them at a time, so that
    rounding grows with the logarithm of k.
    """
    cosines, sines = [jnp.cos(jnp.pi * t)], [jnp.sin(jnp.pi * t)]
    for k in range(2, frequencies + 1):
        a, b = k // 2 - 1, k - k // 2 - 1
        cosines.append(cosines[a] * cosines[b] - sines[a] * sines[b])
        sines.append(sines[a] * cosines[b] + cosines[a] * sines[b])
    return jnp.stack([t, *cosines[:frequencies], *sines[:frequencies]])


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
    def __call__(
        self, u: Float[Array, "n dim"], t: Float[Array, " times"]
    ) -> Float[Array, "n dim"]:
        """Velocity of every point, at times [n], or at the same time [1] for all of them."""
        h, time = u.T, _features(t, self.frequencies)
        if any(self.periodic):
            circle: Bool[Array, "dim 1"] = jnp.asarray(self.periodic)[:, None]
            cosines, sines = jnp.where(circle, jnp.cos(h), h), jnp.where(circle, jnp.sin(h), 0.0)
            h = jnp.concatenate([cosines, sines])
        for width in self.hidden:
            of_point, of_time = Dense(width)(h), Dense(width, use_bias=False)(time)
            h = swish(of_point + jnp.broadcast_to(of_time, of_point.shape))
        return Dense(u.shape[1], kernel_init=nn.initializers.zeros_init())(h).T
