"""LLoCa equals the PyTorch package lloca 2.0 (arrays of references/make_lloca.py), and is
equivariant: shown, and shown to be able to fail.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.errors import InputError
from amplify.nets import frames as frames_module
from amplify.nets import lloca as lloca_module
from amplify.nets import transformer as transformer_module
from amplify.nets.frames import (
    FramesConfig,
    LocalFrames,
    inner_products,
    inverse,
    lab_references,
)
from amplify.nets.from_torch import frames_from_torch, lloca_from_torch
from amplify.nets.lloca import LLoCa, LLoCaConfig
from amplify.nets.transformer import TransformerConfig, Transport
from tests.compiled import jit

METRIC = np.diag([1.0, -1, -1, -1])
TINY = LLoCaConfig(
    TransformerConfig(12, 2, 2, 1, vectors=1), FramesConfig(6, 2), out_scalars=2, out_vectors=2
)
apply = jit(LLoCa(TINY).apply)  # compiled once for tests with the same shapes
CASES = {  # as in references/make_lloca.py
    "default": (TransformerConfig(24, 2, 2, 4, 1), FramesConfig(16, 2), 2, 1, True),
    "vectors": (TransformerConfig(42, 1, 3, 2, 3), FramesConfig(8, 1, 0.7, 1.3), 0, 2, False),
    "symmetric": (TransformerConfig(12, 3, 1, 1, 2), FramesConfig(12, 3), 3, 2, True),
    "scalars": (TransformerConfig(24, 2, 4, 2, 0), FramesConfig(8, 2, -1.0, 0.5), 4, 0, False),
}


def _with(momenta: jax.Array, references: jax.Array) -> jax.Array:
    for_all = jnp.broadcast_to(references[None], (len(momenta), *references.shape))
    return jnp.concatenate([momenta, for_all], 1)


def _differences(name: str) -> list[float]:
    """Largest deviations of frames, scalars and vectors from PyTorch's."""
    transformer, frames, scalars, vectors, preserve = CASES[name]
    config = LLoCaConfig(transformer, frames, scalars, vectors, preserve_variance=preserve)
    with np.load(Path(__file__).parent / "references" / f"lloca_{name}.npz") as file:
        arrays = {key: file[key].astype(float) for key in file}
    states = (
        {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        for prefix in ("frames.", "net.")
    )
    inputs = ("momenta", "references", "scalars")
    momenta, references, s = (jnp.asarray(arrays[name]) for name in inputs)
    variables = lloca_from_torch(*states, config, len(references))

    @jit
    def both(variables):
        p = _with(momenta, references)
        of_frames = {"params": variables["params"]["frames"]}
        matrices = LocalFrames(frames).apply(of_frames, p, inner_products(p), s)
        return matrices, LLoCa(config).apply(variables, momenta, s, references)

    matrices, (invariants, four_vectors) = both(variables)
    pairs = (
        (matrices, arrays["frames"]),
        (invariants, arrays["local"][..., 4 * vectors :]),
        (four_vectors, arrays["vectors"]),
    )
    return [np.abs(np.asarray(a) - b).max(initial=0) / np.abs(b).max(initial=1) for a, b in pairs]


@pytest.mark.parametrize(
    "name",
    [
        "default",
        *(pytest.param(name, marks=pytest.mark.slow) for name in CASES if name != "default"),
    ],
)
def test_equals_pytorch(name, x64):
    assert max(_differences(name)) < 1e-12


def _events(n: int, mass: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.normal(size=(n, 4, 3))
    energy = np.sqrt(mass**2 * rng.uniform(0.5, 1, (n, 4, 1)) ** 2 + (p**2).sum(-1, keepdims=True))
    return np.concatenate([energy, p], -1), rng.normal(size=(n, 4, 3))


def _transformation(rapidity: float, seed: int = 5) -> np.ndarray:
    """A proper Lorentz transformation: a boost between two rotations."""
    rng, boost, rotations = np.random.default_rng(seed), np.eye(4), [np.eye(4), np.eye(4)]
    cosh, sinh = np.cosh(rapidity), np.sinh(rapidity)
    boost[[0, 0, 3, 3], [0, 3, 0, 3]] = cosh, sinh, sinh, cosh
    for rotation in rotations:
        q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        rotation[1:, 1:] = q * np.linalg.det(q)
    return rotations[0] @ boost @ rotations[1]


@pytest.fixture(scope="module")
def params():
    """Twice those of a fresh network, whose weights of particles are all alike."""
    momenta, scalars = (jnp.asarray(x, jnp.float32) for x in _events(1))
    drawn = jit(LLoCa(TINY).init)(jax.random.key(1), momenta, scalars, lab_references())
    return jax.tree.map(lambda x: np.asarray(2 * x, float), drawn)


def _in(dtype, tree):
    return jax.tree.map(lambda x: jnp.asarray(np.asarray(x, dtype)), tree)


PRECISIONS = {
    "double": (np.float64, np.float64),
    "double momenta": (np.float64, np.float32),
    "single": (np.float32, np.float32),
}


def _violation(apply, params, precision: str, rapidity: float) -> np.ndarray:
    """Deviation from equivariance per event, relative to its largest output."""
    of_momenta, of_network = PRECISIONS[precision]
    momenta, scalars = _events(64)
    boost, lab = _transformation(rapidity), np.asarray(lab_references(), float)
    params, scalars = _in(of_network, (params, scalars))

    def outputs(turn):
        p, references = _in(of_momenta, (momenta @ turn.T, lab @ turn.T))
        return (np.asarray(y, float) for y in apply(params, p, scalars, references))

    (s, v), (s_boosted, v_boosted) = outputs(np.eye(4)), outputs(boost)
    return np.max([_per_event(s_boosted, s), _per_event(v_boosted, v @ boost.T)], 0)


def _per_event(got, expected):
    """Largest difference over the largest number, event by event."""
    difference, size = (np.abs(x).reshape(len(x), -1) for x in (got - expected, expected))
    return difference.max(1) / size.max(1)


@pytest.mark.slow
def test_equivariant(params, x64):
    """Rotations and rapidities up to 3. Momenta of fast events carry the rounding of their rest
    frame's, times gamma^2 = 100 at rapidity 3.

    With momenta in double precision that leaves single precision to the network, and nothing of the
    boost is seen.
    """
    for rapidity in (0.0, 1.0, 3.0):
        rounding = np.cosh(rapidity) ** 2
        double, mixed, single = (
            _violation(apply, params, precision, rapidity) for precision in PRECISIONS
        )
        assert np.median(double) < 1e-14 * rounding
        assert double.max() < 1e-12 * rounding
        assert mixed.max() < 1e-5
        assert np.median(single) < 3e-6 * rounding


def _not_orthonormal(vectors):
    first = vectors / jnp.sqrt((vectors * vectors).sum(-1, keepdims=True))
    return jnp.stack([first[:, 0], first[:, 1], jnp.cross(first[:, 0], first[:, 1])], 2)


# What breaks the symmetry, and what leaves it (in the rest frame of the event whatever transforms
# under rotations will do) but is not LLoCa any more
ASYMMETRIC = {
    "features of the laboratory": (lloca_module, "_seen", lambda frames, vectors: vectors),
    "messages not brought back": (
        lloca_module,
        "Transport",
        lambda to_global, to_local: Transport(to_global, 0 * to_local + jnp.eye(4)[None, None]),
    ),
    "axes of the laboratory": (
        frames_module,
        "_axes",
        lambda vectors: jnp.broadcast_to(
            jnp.eye(3)[None, None], (len(vectors), vectors.shape[2], 3, 3)
        ),
    ),
    "lengths without metric": (
        lloca_module,
        "inner_products",
        lambda momenta: jnp.einsum("bim,bjm->bij", momenta, momenta),
    ),
    "vectors not brought back": (lloca_module, "_from_event_frame", lambda vectors, u0, u: vectors),
    "references left behind": (lab_references, None, None),
}
DIFFERENT = {
    "messages without transport": (
        transformer_module,
        "_transported",
        lambda x, frames, vectors: x,
    ),
    "axes not orthogonal": (frames_module, "_axes", _not_orthonormal),
    "transposed for inverse": (
        lloca_module,
        "inverse",
        lambda frames: jnp.swapaxes(frames, -1, -2),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", ASYMMETRIC)
def test_mistakes_break_the_symmetry(mistake, params, monkeypatch, x64):
    left_behind = mistake == "references left behind"
    if not left_behind:
        monkeypatch.setattr(*ASYMMETRIC[mistake])
    mistaken = jit(
        lambda params, p, s, r: LLoCa(TINY).apply(
            params, p, s, lab_references(p.dtype) if left_behind else r
        )
    )
    assert np.median(_violation(mistaken, params, "double", 1.0)) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("mistake", DIFFERENT)
def test_mistakes_are_not_lloca(mistake, monkeypatch, x64):
    monkeypatch.setattr(*DIFFERENT[mistake])
    assert max(_differences("vectors")) > 1e-3


def test_frames_are_lorentz_transformations(params):
    """L^T g L = g to rounding, determinant 1, time forward; also of particles a hundred times as
    energetic as heavy, and parallel ones.
    """
    p, s = (x.astype(np.float32) for x in _events(256, 0.01))
    p[::2, 1] = 2 * p[::2, 0]
    p = _with(jnp.asarray(p), lab_references())
    variables = _in(jnp.float32, {"params": params["params"]["frames"]})

    @jit
    def frames_and_inverses(p, s):
        frames = LocalFrames(TINY.frames).apply(variables, p, inner_products(p), s)
        return frames, inverse(frames)

    frames, inverses = (np.asarray(x, float) for x in frames_and_inverses(p, s))
    size = np.abs(frames).max((-1, -2), keepdims=True) ** 2
    kept = np.swapaxes(frames, -1, -2) @ METRIC @ frames
    np.testing.assert_array_less(np.abs(kept - METRIC) / size, 2e-6)
    np.testing.assert_array_less(np.abs(inverses @ frames - np.eye(4)) / size, 2e-6)
    np.testing.assert_allclose(np.linalg.det(frames), 1, atol=1e-3)
    assert frames[..., 0, 0].min() >= 1


@pytest.mark.parametrize("compiled", [jit, jax.jit], ids=["as written", "optimised"])
@pytest.mark.parametrize("apart", [1e-3, 1e-5, 1e-6, 0.0])
def test_axes_of_nearly_parallel_vectors(compiled, apart):
    """Orthonormal to rounding, also where XLA merges everything into one loop and so evaluates what
    is left of the second vector more than once, with other fused multiply-adds each time.
    """
    rng = np.random.default_rng(0)
    first, other = rng.normal(size=(2, 50, 1, 3))
    vectors = jnp.asarray(np.stack([first, first + apart * other], 1), jnp.float32)
    axes = np.asarray(compiled(frames_module._axes)(vectors), float)
    products = axes @ np.swapaxes(axes, -1, -2)
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(axes), 1, atol=1e-6)


def test_inner_products_of_fast_particles():
    """Single precision for pairs a hundred times lighter than their energies, where E_i E_j - p_i
    p_j computed as it stands keeps three digits.
    """
    rng = np.random.default_rng(0)
    direction = np.array([0.6, 0.0, 0.8]) + 0.02 * rng.normal(size=(100, 4, 3))
    p = rng.uniform(5, 10, (100, 4, 1)) * direction / np.sqrt((direction**2).sum(-1, keepdims=True))
    p = p.astype(np.float32).astype(float)
    massless = np.concatenate([np.sqrt((p**2).sum(-1, keepdims=True)), p], -1)
    cross = np.cross(p[:, :, None], p[:, None])
    size = massless[:, :, None, 0] * massless[:, None, :, 0]
    scalar_product = (p[:, :, None] * p[:, None]).sum(-1)
    exact = (cross**2).sum(-1) / (size + scalar_product)
    got = jit(inner_products)(jnp.asarray(massless, jnp.float32))
    apart = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(np.median(np.abs(got / exact - 1)[:, apart]), 0, atol=1e-3)
    np.testing.assert_allclose(got, exact, rtol=0, atol=2e-7 * 100)


@pytest.mark.parametrize("sharper", [1, 30])
def test_two_tev_in_single_precision(sharper, params, x64):
    """Jets of 20 to 2000 GeV in units of 206.6 GeV, a hundredth of their energy in mass; also with
    frames' weights that single particles dominate.
    """
    rng = np.random.default_rng(3)
    pt = np.exp(rng.uniform(np.log(0.1), np.log(10), (64, 4)))
    phi, eta = rng.uniform(-np.pi, np.pi, (64, 4)), rng.normal(size=(64, 4))
    p = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], -1)
    p = np.concatenate([np.sqrt(0.0001 * pt**2 + (p**2).sum(-1))[..., None], p], -1)
    s, sharp = rng.normal(size=(64, 4, 3)), jax.tree.map(lambda x: x, params)
    last_layer = sharp["params"]["frames"]["layers"]["weight"]
    last_layer["kernel"] = sharper * last_layer["kernel"]
    arguments = sharp, p, s, lab_references()
    single, exact = (
        [np.asarray(y, float) for y in apply(*_in(dtype, arguments))]
        for dtype in (jnp.float32, jnp.float64)
    )
    error = np.max([_per_event(a, b) for a, b in zip(single, exact, strict=True)], 0)
    assert np.median(error) < 1e-5
    assert error.max() < 5e-4


@pytest.mark.slow
def test_degenerate_events_are_finite(params):
    """Collinear massless particles, particles at rest, alike, without energy, an event at rest:
    outputs and gradients are numbers.
    """
    p, s = (x.astype(np.float32) for x in _events(9))
    beam, rest = np.array([1, 0, 0, 1], np.float32), np.array([1, 0, 0, 0], np.float32)
    p[1, :2] = beam, 3 * beam  # along a reference
    p[2, 0] = rest
    p[3], s[3] = p[3, :1], s[3, :1]
    p[4] = beam * np.array([[1], [2], [3], [4]], np.float32)
    p[5] = rest
    p[6, 0] = 0
    p[7] = 0
    p[8, :2] = [5, 3, 0, 4], [10, 6, 0, 8]
    # a reference at rest in each event, or one of no energy, which is none
    references = jnp.asarray(np.stack([lab_references(), np.zeros((3, 4), np.float32)]))

    def total(params, p, references):
        out = LLoCa(TINY).apply(params, p, jnp.asarray(s), references)
        return sum((y**2).sum() for y in out), out

    gradients = jit(
        jax.vmap(jax.value_and_grad(total, argnums=(0, 1), has_aux=True), (None, None, 0))
    )
    for x in jax.tree.leaves(gradients(_in(jnp.float32, params), jnp.asarray(p), references)):
        assert np.isfinite(x).all()


def test_members_loops_and_permutations(params, x64):
    """vmap over members, a lax.map over events inside, permuted particles."""
    p, s = _in(jnp.float64, _events(64))
    order = np.array([2, 0, 3, 1])
    other = jax.tree.map(lambda x: -0.7 * x, params)
    members = [_in(jnp.float64, tree) for tree in (params, other)]

    def one_by_one(params):
        def of_event(event):
            return LLoCa(TINY).apply(params, *event, lab_references(p.dtype))

        return jax.lax.map(of_event, (p[:, order], s[:, order]))

    stacked = jax.tree.map(lambda *x: jnp.asarray(np.stack(x)), *members)
    together = jit(jax.vmap(one_by_one))(stacked)
    for i, member in enumerate(members):
        for a, b in zip(together, apply(member, p, s, lab_references(p.dtype)), strict=True):
            np.testing.assert_allclose(
                np.asarray(a)[i], np.asarray(b)[:, order], atol=1e-12 * np.abs(b).max()
            )


def test_errors():
    with pytest.raises(InputError, match="particles and references: expected at least two, got 1;"):
        jax.eval_shape(
            LLoCa(TINY).init, jax.random.key(0), jnp.ones((1, 1, 4)), jnp.ones((1, 1, 2))
        )
    with np.load(Path(__file__).parent / "references" / "lloca_default.npz") as file:
        state = {
            key.removeprefix("frames."): file[key] for key in file if key.startswith("frames.")
        }
    with pytest.raises(
        InputError,
        match=r"layer equivectors.block.mlp.mlp.2 of the weights: expected 16x3, got 16x16;",
    ):
        frames_from_torch(state, FramesConfig(16, 1), 3)
