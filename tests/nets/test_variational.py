"""Noise of weights, flipped event by event: the distribution of the weights' own draws."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from amplify.generators.autoregressive_flow import AutoregressiveConfig, autoregressive_flow
from amplify.generators.charts import jet_chart
from amplify.generators.coupling_flow import FlowConfig, coupling_flow
from amplify.generators.flow_matching import vector_flow
from amplify.generators.particles import particle_flow
from amplify.nets.masked_mlp import MaskedMLP
from amplify.nets.mlp import MLP
from amplify.nets.particles import ParticleTransformer
from amplify.nets.transformer import Transformer, TransformerConfig
from amplify.nets.variational import _table, flipped, noisy

TINY = TransformerConfig(width=2, blocks=1, heads=1, mlp_ratio=1)
NETS = {
    "mlp": (MLP((3,), 2), (4, 2)),
    "masked": (MaskedMLP((0, 1), (3,), 2), (4, 2)),
    "transformer": (Transformer(2, TINY), (4, 3, 2)),
}
DRAWS = 2000


def _started(name):
    """A net, its input, and params none of which is zero."""
    net, shape = NETS[name]
    x = jax.random.normal(jax.random.key(1), shape)
    params = net.init(jax.random.key(2), x)
    return net, x, _normal(jax.random.key(3), params, 0.7)


def _normal(key, params, width):
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    drawn = [width * jax.random.normal(k, p.shape) for k, p in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)


@pytest.mark.parametrize("name", NETS)
def test_every_event_sees_weights_with_noise_of_its_own_signs(name):
    """Columns of every kernel and bias, those of one output, have one sign for an event and all of
    its tokens.
    """
    net, x, params = _started(name)
    delta = _normal(jax.random.key(4), params, 0.3)
    y = noisy(net.apply, params, delta, x)
    for event in range(len(x)):

        def own(p, d, event=event):
            return p + d * _table(len(x), p.shape[-1])[event].reshape((1,) * (p.ndim - 1) + (-1,))

        alone = net.apply(jax.tree.map(own, params, delta), x[event : event + 1])
        np.testing.assert_allclose(y[event], alone[0], rtol=1e-4, atol=1e-5)
    assert not np.allclose(y, net.apply(params, x), atol=0.01)


def test_signs_are_random():
    """Mean over 10^4 and over pairs of events: five standard errors."""
    signs = _table(100, 100).astype(float)
    assert set(signs.ravel()) == {-1.0, 1.0} and abs(signs.mean()) < 0.05
    together = (signs @ signs.T / 100)[np.triu_indices(100, 1)]
    assert abs(together.mean()) < 5 / 495_000**0.5 and abs(together.std() - 0.1) < 0.02


def test_gradients_are_on_average_those_of_weight_draws():
    """Of a loss of an MLP, by the means and by the width of all weights: 18 numbers, 4.5 standard
    errors, a false alarm in 8000.
    """
    net, x, params = _started("mlp")

    def gradient(key, flips):
        delta = _normal(key, params, 1.0)

        def loss(params, width):
            noise = jax.tree.map(lambda d: width * d, delta)
            if flips:
                y = noisy(net.apply, params, noise, x)
            else:
                y = net.apply(jax.tree.map(jnp.add, params, noise), x)
            return ((y - 1.0) ** 2).sum(axis=1).mean()

        return ravel_pytree(jax.grad(loss, argnums=(0, 1))(params, 0.3))[0]

    keys = jax.random.split(jax.random.key(4), DRAWS)
    each = [jax.vmap(partial(gradient, flips=flips)) for flips in (True, False)]
    flips, drawn = np.asarray(jax.jit(lambda keys: [of(keys) for of in each])(keys), float)
    error = np.hypot(flips.std(axis=0), drawn.std(axis=0)) / DRAWS**0.5
    apart = flips.mean(axis=0) - drawn.mean(axis=0)
    assert len(apart) == 18 and (np.abs(apart) < 4.5 * error).all()
    assert (np.abs(drawn.mean(axis=0)) > 10 * error).sum() >= 6  # there is something to be wrong
    # what events have of their own averages out
    assert flips.std(axis=0).mean() < drawn.std(axis=0).mean()


class _Scaled(nn.Module):
    """A layer that knows nothing of noise, beside one that does."""

    @nn.compact
    def __call__(self, x):
        scale = self.param("scale", nn.initializers.ones_init(), (x.shape[1],))
        return nn.Dense(1, use_bias=False)(x * scale[None])


def test_other_params_get_the_noise_of_the_whole_minibatch():
    net, x = _Scaled(), jnp.ones((32, 1))
    params = {"own": net.init(jax.random.key(0), x), "shift": jnp.zeros(())}
    params["own"]["params"]["Dense_0"]["kernel"] = jnp.ones((1, 1))
    delta = jax.tree.map(lambda p: 0.5 + 0 * p, params)

    def function(params, x):
        return net.apply(params["own"], x)[:, 0] + params["shift"]

    y = noisy(function, params, delta, x)
    assert sorted({*y.tolist()}) == [1.25, 2.75]  # 1.5 (1 +- .5) + .5
    assert flipped(function, params, x) == {"['own']['Dense_0']['kernel']"}


def _places(generator):
    """Flipped arrays of a generator, and all."""
    params = jax.eval_shape(generator.init, jax.random.key(0))
    x, weight = jnp.zeros((4, generator.dim)), jnp.ones(4)
    params = jax.tree.map(lambda p: jnp.zeros(p.shape, p.dtype), params)
    found = flipped(generator.loss, params, jax.random.key(0), x, weight)
    return found, len(jax.tree.leaves(params))


def test_every_layer_of_the_generators_flips_its_noise():
    x = np.random.default_rng(0).normal(size=(50, 3))
    found, arrays = _places(coupling_flow(x, FlowConfig(layers=2, hidden=(4,), bins=3)))
    assert len(found) == arrays == 4
    found, arrays = _places(vector_flow(x, hidden=(4, 4)))
    assert len(found) == arrays == 8
    found, arrays = _places(autoregressive_flow(x, AutoregressiveConfig((4,), bins=3)))
    assert len(found) == arrays - 1 == 4  # all but the basis
    chart = jet_chart(2)
    events = jax.random.normal(jax.random.key(1), (50, chart.dim))
    found, arrays = _places(particle_flow(events, chart, ParticleTransformer(chart.outputs, TINY)))
    assert len(found) == arrays == 12
