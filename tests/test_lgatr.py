"""L-GATr equals the PyTorch package lgatr 2.0 (arrays of references/make_lgatr.py), and is equivariant: shown, and shown to be able to fail."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.errors import InputError
from amplify.nets import algebra
from amplify.nets import lgatr as lgatr_module
from amplify.nets import multivectors as mv
from amplify.nets.lgatr import LGATr, LGATrConfig, published
from amplify.nets.lgatr_torch import from_torch
from tests.test_algebra import random_lorentz

jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # half the time to compile
CASES = {  # as in references/make_lgatr.py
    "default": LGATrConfig(2, 1, 4, 3, 2, 8, blocks=2, heads=2),
    "published": published(in_mv=1, out_mv=2, hidden_mv=4, in_s=5, out_s=3, hidden_s=8, blocks=1, heads=4),
    "multivectors": LGATrConfig(2, 1, 4, 0, 0, 0, blocks=1, heads=2, mlp_ratio=2),
    "scalars_inside": LGATrConfig(3, 1, 4, 0, 2, 8, blocks=2, heads=1, mlp_ratio=2, affine_norm=False),
    "parity": LGATrConfig(
        2, 1, 4, 3, 0, 4, blocks=1, heads=2, mlp_ratio=2, parity=True, multi_query=True, head_scale=True, mlp_layers=3, reinsert_mv=(1,), reinsert_s=(0, 2)
    ),
    "product_only": LGATrConfig(1, 1, 6, 2, 2, 6, blocks=3, heads=3, mlp_ratio=1, mlp_layers=1, nonlinearity="silu"),
}
SMALL = CASES["default"]


def _reference(name):
    with np.load(Path(__file__).parent / "references" / f"lgatr_{name}.npz") as file:
        arrays = {key: file[key].astype(float) for key in file}
    state = {k.removeprefix("net."): v for k, v in arrays.items() if k.startswith("net.")}
    return arrays, state


@pytest.mark.parametrize("name", CASES)
def test_equals_pytorch(name, x64):
    arrays, state = _reference(name)
    config = CASES[name]
    params = from_torch(state, config)
    scalars = jnp.asarray(arrays["scalars"]) if config.in_s else None
    out, plain = jit(lambda params: LGATr(config).apply({"params": params}, jnp.asarray(arrays["multivectors"]), scalars))(params)
    assert np.abs(out - arrays["out_multivectors"]).max() < 1e-12 * np.abs(arrays["out_multivectors"]).max()
    if config.out_s:
        assert np.abs(plain - arrays["out_scalars"]).max() < 1e-12 * np.abs(arrays["out_scalars"]).max()
    else:
        assert plain is None
    fresh = jax.eval_shape(LGATr(config).init, jax.random.key(0), jnp.asarray(arrays["multivectors"]), scalars)["params"]
    assert jax.tree.map(jnp.shape, fresh) == jax.tree.map(jnp.shape, params)


def _violation(dtype, config=SMALL, seeds=range(3), references=None):
    """Largest relative difference between turning inputs and turning outputs, over random boosts (rapidity up to 3) and rotations.

    Tokens carry a massive momentum in one channel and one of `references` (which turn along) or a general multivector in the other.
    """
    _, state = _reference("default")
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), from_torch(state, config))
    rng = np.random.default_rng(3)
    p = rng.normal(size=(4, 5, 3))
    vectors = np.concatenate([np.sqrt(0.5 + (p**2).sum(-1, keepdims=True)), p], axis=-1)
    second = rng.normal(size=(4, 5, 16)) if references is None else np.broadcast_to(references, (4, 5, 16))
    x = np.stack([np.pad(vectors, ((0, 0), (0, 0), (1, 11))), second], axis=2)
    scalars = jnp.asarray(rng.normal(size=(4, 5, config.in_s)), dtype)
    net = jit(lambda x: LGATr(config).apply({"params": params}, x, scalars))
    worst = 0.0
    for seed in seeds:
        lorentz = random_lorentz(seed)
        with jax.enable_x64(True):  # the turns are exact in either case
            turned, back = (np.asarray(algebra.transform(jnp.asarray(x), jnp.asarray(m))) for m in (lorentz, np.eye(4)))
        out, plain = net(jnp.asarray(back, dtype))
        out_turned, plain_turned = net(jnp.asarray(turned, dtype))
        with jax.enable_x64(True):
            expected = np.asarray(algebra.transform(jnp.asarray(np.asarray(out, float)), jnp.asarray(lorentz)))
        worst = max(worst, np.abs(out_turned - expected).max() / np.abs(expected).max(), np.abs(plain_turned - plain).max() / np.abs(plain).max())
    return worst


def test_equivariance_in_double_precision(x64):
    assert _violation(jnp.float64) < 1e-12
    assert _violation(jnp.float64, references=np.asarray(algebra.symmetry_breaking())[0]) < 1e-12


def test_equivariance_in_single_precision():
    assert _violation(jnp.float32) < 1e-5


def _spoil_product(product, left, right):
    out = product(left, right)
    return out._replace(tensor=out.tensor.at[3].add(1e-3 * out.tensor[2]))  # one component of the vector is not like the others


def _spoil_linear(linear, *args, **kwargs):
    out = linear(*args, **kwargs)
    return out._replace(tensor=out.tensor.at[4].multiply(1.001))  # a bivector's component has a weight of its own


def _spoil_norm(norm, x):
    return norm(x)._replace(tensor=norm(x).tensor + 1e-3)  # a bias, which vectors cannot have


def _spoil_gate(gate, x, nonlinearity):
    return gate(x._replace(scalar=x.scalar.at[0].add(1e-3 * x.tensor[0, 0, 0])), nonlinearity)  # an energy among the scalars


SPOILED = {
    "geometric product": (mv, "geometric_product", _spoil_product),
    "linear map": (mv, "linear", _spoil_linear),
    "norm": (mv, "norm", _spoil_norm),
    "gate": (lgatr_module, "_gate", _spoil_gate),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_term_that_is_not_equivariant_is_noticed(name, x64, monkeypatch):
    module, attribute, spoil = SPOILED[name]
    monkeypatch.setattr(module, attribute, partial(spoil, getattr(module, attribute)))
    assert _violation(jnp.float64, seeds=(0,)) > 1e-6


def test_a_wrong_sign_of_the_metric_is_noticed(x64, monkeypatch):
    signs = lgatr_module._signs
    monkeypatch.setattr(lgatr_module, "_signs", lambda config: (signs(config)[0], jnp.abs(signs(config)[1])))
    assert _violation(jnp.float64, seeds=(0,)) > 1e-6


def test_permutation_of_tokens_and_vmap_over_members():
    config = LGATrConfig(1, 1, 2, 1, 1, 4, blocks=1, heads=1, mlp_ratio=1)
    x, s = jax.random.normal(jax.random.key(0), (3, 4, 1, 16)), jax.random.normal(jax.random.key(1), (3, 4, 1))
    params = [jit(LGATr(config).init)(k, x, s) for k in jax.random.split(jax.random.key(2))]
    net = jit(LGATr(config).apply)
    first, second = (net(p, x, s) for p in params)
    order = jnp.array([2, 0, 3, 1])
    np.testing.assert_allclose(net(params[0], x[:, order], s[:, order])[0], first[0][:, order], atol=1e-5)
    both = jit(jax.vmap(LGATr(config).apply, in_axes=(0, None, None)))(jax.tree.map(lambda *leaves: jnp.stack(leaves), *params), x, s)
    np.testing.assert_allclose(both[0], jnp.stack([first[0], second[0]]), atol=1e-5)
    assert float(jnp.abs(first[1] - second[1]).max()) > 1e-3


def test_gradients_are_those_of_finite_differences(x64):
    """The backward passes written by hand, along a random direction of the weights and of the input."""
    config = replace(SMALL, blocks=1)
    x, s = jax.random.normal(jax.random.key(3), (2, 3, 2, 16)), jax.random.normal(jax.random.key(4), (2, 3, 3))
    params = jit(LGATr(config).init)(jax.random.key(5), x, s)

    def value(step):
        moved = jax.tree.map(lambda leaf: leaf + step * jnp.sin(jnp.arange(leaf.size, dtype=float)).reshape(leaf.shape), (params, x, s))
        out, plain = LGATr(config).apply(*moved)
        return (out**2).sum() + (plain**3).sum()

    h, at = 1e-5, jit(value)
    slope = jit(jax.grad(value))(0.0)
    assert float((at(h) - at(-h)) / (2 * h)) == pytest.approx(float(slope), rel=1e-7)


def test_wrong_shapes_and_settings_are_one_line():
    x = jnp.zeros((2, 3, 2, 16))
    with pytest.raises(InputError, match="multivectors: expected shape"):
        LGATr(SMALL).init(jax.random.key(0), x[:, :, :1], jnp.zeros((2, 3, 3)))
    with pytest.raises(InputError, match="scalars: expected shape"):
        LGATr(SMALL).init(jax.random.key(0), x, None)
    for change in ({"blocks": 0}, {"in_s": -1}, {"nonlinearity": "none"}, {"reinsert_mv": (2,)}):
        with pytest.raises(InputError):
            replace(SMALL, **change)
    _, state = _reference("default")
    with pytest.raises(InputError):
        from_torch(state, replace(SMALL, blocks=1))
    with pytest.raises(InputError):
        from_torch({k: v for k, v in state.items() if "linear_in" not in k}, SMALL)
