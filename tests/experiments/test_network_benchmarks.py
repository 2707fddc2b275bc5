"""Operations that the benchmarks of networks count, and the network that PyTorch trains beside
ours.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.nets.mlp import MLP
from experiments.benchmarks import flow_matching, flow_matching_peers, network_floors


def test_products_are_those_that_the_compiler_counts():
    """Of a perceptron of one event, besides a few operations of its hidden units."""
    net, x = MLP((32, 32), 25), jnp.zeros((256, 1))
    params = net.init(jax.random.key(0), x)
    counted = jax.jit(net.apply).lower(params, x).compile().cost_analysis()["flops"] / 256
    expected = network_floors._products((1, 32, 32, 25))
    assert expected == 2 * (32 + 32 * 32 + 32 * 25)
    assert expected <= counted < 1.2 * expected


def test_pytorch_computes_the_same_network():
    torch = pytest.importorskip("torch")
    net, u = flow_matching._Net(), jax.random.normal(jax.random.key(0), (5, 2))
    t = jnp.linspace(0, 1, 5)
    params = net.init(jax.random.key(1), u, t)
    theirs = flow_matching_peers.same_network(flow_matching.WIDTHS).net
    flow_matching_peers.take_params(theirs, params)
    radius = torch.full((5, 1), flow_matching.RADIUS)
    with torch.no_grad():
        y = theirs(torch.as_tensor(np.array(t)), torch.as_tensor(np.array(u)), radius)
    np.testing.assert_allclose(net.apply(params, u, t), y, atol=1e-5)
