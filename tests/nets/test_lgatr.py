"""L-GATr equals the PyTorch package lgatr 2.0 (arrays of references/make_lgatr.py), and is
equivariant: shown, and shown to be able to fail.
"""

from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.errors import InputError
from amplify.nets import algebra
from amplify.nets import lgatr as lgatr_module
from amplify.nets import multivectors as mv
from amplify.nets.from_torch import lgatr_from_torch
from amplify.nets.lgatr import LGATr, LGATrConfig, published
from tests.compiled import jit
from tests.nets.test_algebra import random_lorentz

CASES = {  # as in references/make_lgatr.py
    "default": LGATrConfig(2, 1, 4, 3, 2, 8, blocks=2, heads=2),
    "published": published(
        in_mv=1, out_mv=2, hidden_mv=4, in_s=5, out_s=3, hidden_s=8, blocks=1, heads=4
    ),
    "multivectors": LGATrConfig(2, 1, 4, 0, 0, 0, blocks=1, heads=2, mlp_ratio=2),
    "scalars_inside": LGATrConfig(
        3, 1, 4, 0, 2, 8, blocks=2, heads=1, mlp_ratio=2, affine_norm=False
    ),
    "parity": replace(
        LGATrConfig(2, 1, 4, 3, 0, 4, blocks=1, heads=2, mlp_ratio=2, mlp_layers=3),
        parity=True,
        multi_query=True,
        head_scale=True,
        reinsert_mv=(1,),
        reinsert_s=(0, 2),
    ),
    "product_only": replace(
        LGATrConfig(1, 1, 6, 2, 2, 6, blocks=3, heads=3, mlp_ratio=1, mlp_layers=1),
        nonlinearity="silu",
    ),
}
SMALL = CASES["default"]


def _reference(name):
    with np.load(Path(__file__).parent / "references" / f"lgatr_{name}.npz") as file:
        arrays = {key: file[key].astype(float) for key in file}
    state = {k.removeprefix("net."): v for k, v in arrays.items() if k.startswith("net.")}
    return arrays, state


def _network(name):
    """The package's weights in our network, compiled: (multivectors, scalars) -> (multivectors,
    scalars).
    """
    variables = lgatr_from_torch(_reference(name)[1], CASES[name])

    def apply(x, s):
        in_precision = jax.tree.map(lambda leaf: leaf.astype(x.dtype), variables)
        return LGATr(CASES[name]).apply(in_precision, x, s)

    return jit(apply)


_compiled = lru_cache(_network)


@pytest.mark.parametrize(
    "name",
    [
        "default",
        *(pytest.param(name, marks=pytest.mark.slow) for name in CASES if name != "default"),
    ],
)
def test_equals_pytorch(name, x64):
    arrays, state = _reference(name)
    config = CASES[name]
    scalars = jnp.asarray(arrays["scalars"]) if config.in_s else None
    multivectors = jnp.asarray(arrays["multivectors"])
    out, plain = _compiled(name)(multivectors, scalars)
    assert _deviation(out, arrays["out_multivectors"]) < 1e-12
    if config.out_s:
        assert _deviation(plain, arrays["out_scalars"]) < 1e-12
    else:
        assert plain is None
    fresh = jax.eval_shape(LGATr(config).init, jax.random.key(0), multivectors, scalars)
    loaded = lgatr_from_torch(state, config)
    assert jax.tree.map(jnp.shape, fresh) == jax.tree.map(jnp.shape, loaded)


def _deviation(got, expected):
    """Largest difference over the largest number."""
    return np.abs(got - expected).max() / np.abs(expected).max()


def _violations(net, dtype, turns=None, references=None, turn_references=True):
    """Largest relative difference between the network of turned inputs and its turned output, for
    each turn (by default with rapidities up to 3).

    Tokens carry a massive momentum in one channel and `references`, or a general multivector, in
    the other.
    """
    rng = np.random.default_rng(3)
    p = rng.normal(size=(3, 5, 3))
    energy = np.sqrt(0.5 + (p**2).sum(-1, keepdims=True))
    momenta = np.pad(np.concatenate([energy, p], axis=-1), ((0, 0), (0, 0), (1, 11)))
    if references is None:
        second = rng.normal(size=(3, 5, 16))
    else:
        second = np.broadcast_to(references, (3, 5, 16))
    scalars = jnp.asarray(rng.normal(size=(3, 5, SMALL.in_s)), dtype)
    tokens = jnp.asarray(np.stack([momenta, second], axis=2), dtype)
    out, plain = (np.asarray(y, float) for y in net(tokens, scalars))
    largest = []
    for lorentz in [random_lorentz(seed) for seed in range(3)] if turns is None else turns:
        with jax.enable_x64(True):  # the turns are exact in either case
            turn = np.asarray(algebra.transform(jnp.eye(16), jnp.asarray(lorentz)))
        turned = np.stack([momenta @ turn, second @ turn if turn_references else second], axis=2)
        out_turned, plain_turned = net(jnp.asarray(turned, dtype), scalars)
        largest.append(max(_deviation(out_turned, out @ turn), _deviation(plain_turned, plain)))
    return largest


def test_equivariance_in_double_precision(x64):
    assert max(_violations(_compiled("default"), jnp.float64)) < 1e-12
    beam = np.asarray(algebra.symmetry_breaking())[0]
    assert max(_violations(_compiled("default"), jnp.float64, references=beam)) < 1e-12


def test_equivariance_in_single_precision():
    assert max(_violations(_network("default"), jnp.float32)) < 1e-5


def _rotation(axis, angle):
    i, j = (k for k in (1, 2, 3) if k != axis)
    turn = np.eye(4)
    turn[np.ix_([i, j], [i, j])] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn


def _boost(axis, rapidity):
    turn = np.eye(4)
    turn[np.ix_([0, axis], [0, axis])] = [
        [np.cosh(rapidity), np.sinh(rapidity)],
        [np.sinh(rapidity), np.cosh(rapidity)],
    ]
    return turn


@pytest.mark.parametrize(
    ("which", "kept", "broken"),
    [
        (0, [_rotation(3, 1.0), _boost(3, 2.0)], [_rotation(1, 1.0), _boost(1, 2.0)]),
        (1, [_rotation(3, 1.0), _rotation(1, 2.0)], [_boost(3, 2.0), _boost(1, 2.0)]),
    ],
    ids=["beam", "time"],
)
def test_fixed_references_leave_the_subgroup_that_keeps_them(which, kept, broken, x64):
    reference = np.asarray(algebra.symmetry_breaking())[which]
    of_fixed = partial(_violations, references=reference, turn_references=False)
    assert max(of_fixed(_compiled("default"), jnp.float64, kept)) < 1e-12
    assert min(of_fixed(_compiled("default"), jnp.float64, broken)) > 1e-3


def _spoil_product(product, left, right):
    """One component of the vector is not like the others."""
    out = product(left, right)
    return out._replace(tensor=out.tensor.at[3].add(1e-3 * out.tensor[2]))


def _spoil_linear(linear, *args, **kwargs):
    """A bivector's component has a weight of its own."""
    out = linear(*args, **kwargs)
    return out._replace(tensor=out.tensor.at[4].multiply(1.001))


def _spoil_pairs(linear, *args, **kwargs):
    """The magnetic part turns as if I squared to +1."""
    out = linear(*args, **kwargs)
    return out._replace(tensor=out.tensor.at[4:, 1].multiply(-1))


def _spoil_norm(norm, x):
    """A bias, which vectors cannot have."""
    return norm(x)._replace(tensor=norm(x).tensor + 1e-3)


def _spoil_gate(gate, x, nonlinearity):
    """An energy among the scalars."""
    scalar = x.scalar.at[0].add(1e-3 * x.tensor[0, 0, 0])
    return gate(x._replace(scalar=scalar), nonlinearity)


SPOILED = {
    "geometric product": (mv, "geometric_product", lambda right: partial(_spoil_product, right)),
    "sign of a product of blades": (
        mv,
        "PAIR_TABLE",
        lambda right: [*right[:20], (*right[20][:3], -right[20][3], right[20][4]), *right[21:]],
    ),
    "linear map": (mv, "linear", lambda right: partial(_spoil_linear, right)),
    "sign of the square of I": (mv, "linear", lambda right: partial(_spoil_pairs, right)),
    "norm": (mv, "norm", lambda right: partial(_spoil_norm, right)),
    "sign of a grade in the norm": (
        mv,
        "SQUARES",
        lambda right: (*right[:2], *(-sign for sign in right[2:5]), *right[5:]),
    ),
    "gate": (lgatr_module, "_gate", lambda right: partial(_spoil_gate, right)),
    "metric of the attention": (
        lgatr_module,
        "_signs",
        lambda right: lambda config: (right(config)[0], jnp.abs(right(config)[1])),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPOILED)
def test_a_term_that_is_not_equivariant_is_noticed(name, x64, monkeypatch):
    module, attribute, spoil = SPOILED[name]
    monkeypatch.setattr(module, attribute, spoil(getattr(module, attribute)))
    assert max(_violations(_network("default"), jnp.float64, [random_lorentz(0)])) > 1e-6


def _maps(parity):
    """Matrices [map, 16, 16] of the linear layer for one channel, one for each of its weights."""
    zero = mv.Linear(jnp.zeros((2, 2)), jnp.zeros((2, 2)), jnp.zeros((2, 1, 1)), jnp.zeros(0))
    weights, layout = jax.flatten_util.ravel_pytree(zero)
    features = mv.split(jnp.eye(16).reshape(16, 1, 1, 16), None)

    def matrix(weights):
        out = mv.join(mv.linear(layout(weights), features, parity=parity))[0]
        return out.reshape(16, 16)

    return np.asarray(jit(jax.vmap(matrix))(jnp.eye(weights.size)))


def test_linear_maps_are_all_that_commute_with_the_group(x64):
    """Ten for the proper group, five with parity, 32 for rotations alone: the null space of W T - T
    W, where T is every generator of a dense subgroup.
    """
    lorentz = [random_lorentz(seed) for seed in range(3)]
    groups = {
        10: lorentz,
        5: [*lorentz, np.diag([1.0, -1, -1, -1])],
        32: [_rotation(1, 1.0), _rotation(2, 1.0)],
    }
    for expected, group in groups.items():
        turns = [np.asarray(algebra.transform(jnp.eye(16), jnp.asarray(m))) for m in group]
        one = np.eye(16)
        equations = np.concatenate([np.kron(turn, one) - np.kron(one, turn.T) for turn in turns])
        assert np.sum(np.linalg.svd(equations, compute_uv=False) < 1e-9) == expected
        if expected < 32:
            maps = _maps(parity=expected == 5)
            assert np.linalg.matrix_rank(maps.reshape(-1, 256)) == expected
            for turn in turns:
                assert np.abs(maps @ turn - turn @ maps).max() < 1e-12 * np.abs(turn).max()


def test_norm_of_massive_and_light_like_vectors(x64):
    """A vector of mass m comes out with mass 1, a light-like one only ten times larger; plain
    scalars lose mean and spread.
    """
    vectors = algebra.embed_vector(jnp.array([[5.0, 0, 3, 0], [1, 0, 0, 1]]))[:, None]
    features = mv.norm(mv.split(vectors[:, :, None], jnp.array([[[1.0, 3.0]], [[2.0, 2.0]]])))
    out, plain = mv.join(features)
    np.testing.assert_allclose(
        algebra.extract_vector(out[:, 0, 0]), [[1.25, 0, 0.75, 0], [10, 0, 0, 10]], rtol=1e-12
    )
    np.testing.assert_allclose(plain[:, 0], [[-1, 1] / np.sqrt(1 + 1e-5), [0, 0]], atol=1e-12)


@pytest.mark.slow
def test_gradients_of_the_geometric_product_are_those_of_its_definition(x64):
    x, y, g = jax.random.normal(jax.random.key(0), (3, 2, 5, 3, 16))

    def product(x, y):
        return mv.join(mv.geometric_product(mv.split(x, None), mv.split(y, None)))[0]

    @jit
    def both(x, y, g):
        return [(f(x, y), *jax.vjp(f, x, y)[1](g)) for f in (product, algebra.geometric_product)]

    for ours, definition in zip(*both(x, y, g), strict=True):
        np.testing.assert_allclose(ours, definition, atol=1e-13)


@pytest.mark.slow
def test_permutation_of_tokens_and_members_in_a_scan():
    config = LGATrConfig(1, 1, 2, 1, 1, 4, blocks=1, heads=1, mlp_ratio=1)
    net = LGATr(config)
    x = jax.random.normal(jax.random.key(0), (2, 3, 4, 1, 16))
    s = jax.random.normal(jax.random.key(1), (2, 3, 4, 1))
    params = [net.init(key, x, s) for key in jax.random.split(jax.random.key(2))]
    apply = jit(net.apply)
    alone = [apply(p, x, s) for p in params]
    order = jnp.array([2, 0, 3, 1])
    permuted, _ = apply(params[0], x[:, :, order], s[:, :, order])
    np.testing.assert_allclose(permuted, alone[0][0][:, :, order], atol=1e-5)
    assert float(jnp.abs(alone[0][1] - alone[1][1]).max()) > 1e-3
    of_members = jax.vmap(net.apply, in_axes=(0, None, None))
    in_batches = jit(lambda p: jax.lax.map(lambda batch: of_members(p, *batch), (x, s)))
    together = in_batches(jax.tree.map(lambda *leaves: jnp.stack(leaves), *params))
    for i, (out, plain) in enumerate(alone):
        assert out.dtype == plain.dtype == jnp.float32
        np.testing.assert_allclose(together[0][:, i], out, atol=1e-5)
        np.testing.assert_allclose(together[1][:, i], plain, atol=1e-5)


def test_wrong_shapes_and_settings_are_one_line():
    x = jnp.zeros((2, 3, 2, 16))
    with pytest.raises(InputError, match="multivectors: expected shape"):
        LGATr(SMALL).init(jax.random.key(0), x[:, :, :1], jnp.zeros((2, 3, 3)))
    with pytest.raises(InputError, match="scalars: expected shape"):
        LGATr(SMALL).init(jax.random.key(0), x, None)
    for change, said in (
        ({"blocks": 0}, "blocks: expected at least 1, got 0"),
        ({"in_s": -1}, "in_s: expected 0 or more scalar channels, got -1"),
        ({"nonlinearity": "none"}, "nonlinearity: expected relu, .*, got none"),
        ({"reinsert_mv": (2,)}, r"reinsert_mv: expected channels below 2, got \(2,\)"),
    ):
        with pytest.raises(InputError, match=said):
            replace(SMALL, **change)
    _, state = _reference("default")
    with pytest.raises(InputError, match=r"got blocks\.1\..* left over"):
        lgatr_from_torch(state, replace(SMALL, blocks=1))
    with pytest.raises(InputError, match=r"expected weights linear_in\.weight, got none"):
        lgatr_from_torch({k: v for k, v in state.items() if "linear_in" not in k}, SMALL)
