"""Affine maps and swish with the events last in memory: a third to two thirds of the time of
`flax.linen.Dense` and `jax.nn.swish` on a CPU, the same numbers to rounding.

With few features a row, [event, feature], most of the time goes into gradients of kernels, which
then are sums over a stride; [feature, event] makes them products of long rows.
"""

import flax.linen as nn
import jax.numpy as jnp
from flax.linen import initializers
from jaxtyping import Array, Float


class Dense(nn.Module):
    """Affine map of columns: kernel^T x + bias, with the params and starting weights of
    `flax.linen.Dense`.

    Attributes:
        features: that come out.
        use_bias: whether there is one.
        kernel_init: initial kernel [in, out].
    """

    features: int
    use_bias: bool = True
    kernel_init: initializers.Initializer = initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Float[Array, "inputs event"]) -> Float[Array, "outputs event"]:
        """Output [feature, event]."""
        shape = x.shape[0], self.features
        y = self.param("kernel", self.kernel_init, shape, jnp.float32).T @ x
        if not self.use_bias:
            return y
        bias = self.param("bias", initializers.zeros_init(), shape[1:], jnp.float32)
        return y + bias[:, None]


def swish(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """`jax.nn.swish`, x / (1 + exp -x), through a hyperbolic tangent, which a CPU computes in two
    thirds of the time of an exponential function. Right to the rounding of x.
    """
    return x * (0.5 + 0.5 * jnp.tanh(0.5 * x))
