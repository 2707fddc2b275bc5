"""The transformer equals its definition, and the same under permutations, members, devices and
loops.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec
from scipy.special import erf, softmax

from amplify.errors import InputError
from amplify.nets.from_torch import transformer_from_torch
from amplify.nets.transformer import Transformer, TransformerConfig, gelu

CONFIG = TransformerConfig(width=12, blocks=2, heads=3, mlp_ratio=2)
NET = Transformer(3, CONFIG)
X = np.random.default_rng(0).normal(size=(2, 4, 6, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def members():
    """Parameters of two members."""
    return jax.jit(jax.vmap(lambda key: NET.init(key, jnp.asarray(X))))(
        jax.random.split(jax.random.key(1), 2)
    )


def test_permuted_tokens_permute_the_output(members):
    order, params = np.array([3, 1, 5, 0, 4, 2]), jax.tree.map(lambda x: x[0], members)
    apply, x = jax.jit(NET.apply), jnp.asarray(X)
    permuted = apply(params, x[..., order, :])
    np.testing.assert_allclose(permuted, apply(params, x)[..., order, :], atol=2e-6)


def test_equals_its_definition_in_numpy(members):
    """Attention with heads, residuals and perceptrons written out in double precision."""
    params = jax.tree.map(lambda x: x[1], members)
    layers = jax.tree.map(lambda x: np.asarray(x, float), params)["params"]["layers"]

    def affine(x, name, block=...):
        return x @ layers[name]["kernel"][block] + layers[name]["bias"][block]

    def normal(x):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)

    x = affine(X.astype(float), "in")
    for i in range(2):
        qkv = affine(normal(x), "qkv", i).reshape(2, 4, 6, 3, 3, 4)
        q, k, v = np.moveaxis(qkv, (-3, -2), (0, 1))  # [head, batch, batch, token, channel]
        heads = softmax(q @ np.swapaxes(k, -1, -2) / 2, -1) @ v
        x = x + affine(np.moveaxis(heads, 0, -2).reshape(x.shape), "merge", i)
        y = affine(normal(x), "up", i)
        x = x + affine(y * (1 + erf(y / np.sqrt(2))) / 2, "down", i)
    got = NET.apply(params, jnp.asarray(X))
    np.testing.assert_allclose(got, affine(x, "out"), atol=2e-6)


@pytest.mark.slow
def test_members_devices_and_loops(members):
    """vmap over members, split over devices, events in a lax.map, steps in a lax.scan: all the same
    numbers.
    """
    mesh = jax.make_mesh((2,), ("member",), axis_types=(jax.sharding.AxisType.Auto,))

    def step(params, x):
        y = jax.lax.map(lambda event: NET.apply(params, event), x)
        return x + jnp.pad(y, ((0, 0), (0, 0), (0, 0), (0, 2)))

    def two_steps(params, x):
        return jax.lax.scan(lambda x, _: (step(params, x), None), step(params, x), length=1)[0]

    def split(params, x):
        return jax.vmap(two_steps, (0, None))(params, x)

    member, all_events = PartitionSpec("member"), PartitionSpec()
    on_two = jax.shard_map(split, mesh=mesh, in_specs=(member, all_events), out_specs=member)
    got = jax.jit(on_two)(members, jnp.asarray(X))
    for i in range(2):
        x, params = jnp.asarray(X), jax.tree.map(lambda x, i=i: x[i], members)
        for _ in range(2):
            x = x + jnp.pad(NET.apply(params, x), ((0, 0), (0, 0), (0, 0), (0, 2)))
        np.testing.assert_allclose(got[i], x, atol=2e-6)


def test_gelu_and_its_derivatives(x64):
    """Backward, forward and second derivatives."""
    x = jnp.linspace(-6, 6, 41)
    kinds = [lambda f: f, jax.grad, jax.jacfwd, jax.hessian]
    ours, theirs = (
        jax.jit(lambda x, f=f: [jax.vmap(kind(f))(x) for kind in kinds])(x)
        for f in (gelu, lambda x: jax.nn.gelu(x, approximate=False))
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-14)


def test_starts_at_zero_and_in_the_precision_of_the_tokens(x64):
    net = Transformer(3, CONFIG, out_scale=0.0)
    params = net.init(jax.random.key(0), jnp.asarray(X))
    assert {x.dtype for x in jax.tree.leaves(params)} == {np.dtype(np.float32)}
    y = net.apply(params, jnp.asarray(X))
    assert y.dtype == jnp.float32
    assert not y.any()


def test_errors():
    said = "width of the transformer: expected a multiple of its 5 heads, got 12;"
    with pytest.raises(InputError, match=said):
        Transformer(1, TransformerConfig(12, heads=5)).init(jax.random.key(0), jnp.zeros((6, 2)))
    said = "vectors per head of the transformer: .* at most its width of 4, got 2, 8 numbers;"
    with pytest.raises(InputError, match=said):
        TransformerConfig(12, heads=3, vectors=2).checked()
    state = {"linear_in.weight": np.zeros((12, 7)), "linear_in.bias": np.zeros(12)}
    said = r"layer blocks\.0\.attention\.out_linear .*: expected 12x12, got no such layer;"
    with pytest.raises(InputError, match=said):
        transformer_from_torch(state, CONFIG)
