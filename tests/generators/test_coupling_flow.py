"""Spline and coupling flow: distrax, autodiff Jacobians and numerical integrals as references."""

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amplify.errors import InputError
from amplify.generators import spline
from amplify.generators.coordinates import coordinates
from amplify.generators.coupling_flow import BOUND, FlowConfig, _orders, coupling_flow
from amplify.generators.symmetrised import symmetrised
from tests.compiled import jit


def _random_flow(dim, *, bounded=None, periodic=None, size=0.2, seed=0, **config):
    """A flow whose parameters are far from the identity."""
    x = jax.random.normal(jax.random.key(seed), (200, dim))
    flow = coupling_flow(coordinates(x, bounded=bounded, periodic=periodic), FlowConfig(**config))
    params = jit(flow.init)(jax.random.key(seed + 1))
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed + 2), len(leaves))
    noise = [size * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)]
    return flow, tree.unflatten([leaf + change for leaf, change in zip(leaves, noise, strict=True)])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([2, 3, 8, 12]))
def test_spline_is_the_one_of_distrax(seed, bins):
    with jax.enable_x64(True):
        key_raw, key_x = jax.random.split(jax.random.key(seed))
        raw = 2 * jax.random.normal(key_raw, (3 * bins + 1, 50))
        x = jax.random.uniform(key_x, (50,), minval=-1.5 * BOUND, maxval=1.5 * BOUND)
        (y, log_slope), expected, again = _by_both(raw, x)
        np.testing.assert_allclose(y, expected[0], atol=1e-10)
        np.testing.assert_allclose(log_slope, expected[1], atol=1e-10)
        np.testing.assert_allclose(again, x, atol=1e-7)


@jit
def _by_both(raw, x):
    """Our spline of x, that of distrax, and x again from the inverse of ours."""
    shape = spline.spline(raw, BOUND)
    ours = spline.forward(shape, x)
    return ours, _of_distrax(raw, x), spline.inverse(shape, ours[0])


def _of_distrax(raw, x):
    reference = distrax.RationalQuadraticSpline(
        raw.T, -BOUND, BOUND, min_bin_size=2 * BOUND * 1e-3, min_knot_slope=1e-3
    )
    return reference.forward_and_log_det(x)


def test_outside_the_range_the_slope_of_the_end_holds_however_narrow_the_bin():
    # in single precision, where the sizes of the bins add up to the bound but for rounding
    raw = 3 * np.random.default_rng(0).normal(size=(25, 20_000)).astype(np.float32)
    shape = spline.spline(jnp.asarray(raw), BOUND)
    for sign, end in ((-1, 0), (1, -1)):
        x = jnp.full(20_000, 1.3 * sign * BOUND)
        y, log_slope = spline.forward(shape, x)
        free = raw[16:][end].astype(float)
        at_end = np.logaddexp(0, free + np.log(np.expm1(1 - 1e-3))) + 1e-3
        np.testing.assert_allclose(log_slope, np.log(at_end), atol=1e-4)
        np.testing.assert_allclose(y, sign * BOUND * (1 + 0.3 * at_end), atol=1e-4)
        # y beyond the end tells the part outside to its rounding
        beyond = np.asarray(y) * sign > BOUND
        again = spline.inverse(shape, y)
        np.testing.assert_allclose(again[beyond], x[beyond], atol=3e-3)


def test_spline_gradients_are_those_of_distrax(x64):
    raw = jax.random.normal(jax.random.key(0), (25, 400))
    x = jax.random.uniform(jax.random.key(1), (400,), minval=-7, maxval=7)

    def ours(raw, x):
        y, log_slope = spline.forward(spline.spline(raw, BOUND), x)
        return (jnp.cos(y) + log_slope).sum()

    def theirs(raw, x):
        y, log_slope = _of_distrax(raw, x)
        return (jnp.cos(y) + log_slope).sum()

    by_both = (jit(jax.grad(f, (0, 1)))(raw, x) for f in (ours, theirs))
    for a, b in zip(*by_both, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


FLOWS = [  # (dim, bounded, periodic)
    (1, {}, {0: (0.0, 1.0)}),
    (2, {}, {}),
    pytest.param(1, {}, {}, marks=pytest.mark.slow),
    pytest.param(3, {0: (-1.0, 1.0)}, {}, marks=pytest.mark.slow),
    pytest.param(5, {1: (-3.0, 2.0)}, {2: (0.0, 6.0), 4: (-3.0, 3.0)}, marks=pytest.mark.slow),
    pytest.param(24, {3: (0.0, 1.0)}, {7: (-1.0, 1.0)}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("dim", "bounded", "periodic"), FLOWS)
def test_log_prob_is_the_jacobian_of_sample(x64, dim, bounded, periodic):
    flow, params = _random_flow(
        dim, bounded=bounded, periodic=periodic, layers=5, hidden=(16,), size=0.1
    )
    latent = jax.random.uniform(jax.random.key(9), (20, dim), minval=0.02, maxval=0.98)
    x = jit(flow.sample)(params, latent)
    jacobian = jit(jax.vmap(jax.jacfwd(lambda u: flow.sample(params, u[None])[0])))(latent)
    expected = -np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(jit(flow.log_prob)(params, x), expected, atol=1e-4)


@pytest.mark.parametrize(("dim", "bounded", "periodic"), FLOWS)
def test_bounded_and_periodic_samples_stay_inside(dim, bounded, periodic):
    flow, params = _random_flow(dim, bounded=bounded, periodic=periodic)
    latent = jax.random.uniform(jax.random.key(3), (5000, dim))
    x = np.asarray(jit(flow.sample)(params, latent))
    assert np.isfinite(x).all()
    for column, (low, high) in (bounded | periodic).items():
        smallest, largest = x[:, column].min(), x[:, column].max()
        assert low - 1e-5 <= smallest and largest <= high + 1e-5
        assert largest - smallest > 0.5 * (high - low)


@pytest.mark.slow
def test_density_is_normalised_and_closes_on_the_circle(x64):
    flow, params = _random_flow(2, bounded={0: (0.0, 1.0)}, periodic={1: (-np.pi, np.pi)}, size=0.1)
    centres = (np.arange(400) + 0.5) / 400
    grid = np.stack(np.meshgrid(centres, np.pi * (2 * centres - 1), indexing="ij"), axis=-1)
    log_prob = jax.jit(flow.log_prob)
    density = np.exp(log_prob(params, jnp.asarray(grid.reshape(-1, 2))))
    assert density.max() / density.min() > 1.5
    np.testing.assert_allclose(density.mean() * 2 * np.pi, 1, rtol=1e-3)
    left, right = (
        log_prob(params, jnp.stack([jnp.asarray(centres), jnp.full(400, edge)], axis=1))
        for edge in (-np.pi + 1e-9, np.pi - 1e-9)
    )
    np.testing.assert_allclose(left, right, atol=1e-5)


def test_small_flows_part_any_two_columns():
    for dim in (1, 2, 3, 5, 17):
        layers = FlowConfig.event_by_event(1000, dim).layers
        parted = np.argsort(_orders(dim, layers), axis=1) < dim - dim // 2  # moved, in each layer
        meet = parted[:, :, None] != parted[:, None, :]
        assert (meet.any(axis=0) | np.eye(dim, dtype=bool)).all()
    assert FlowConfig.event_by_event(10_000, 4) == FlowConfig()


@pytest.mark.slow
def test_every_dimension_reaches_every_other(x64):
    """After enough layers each coordinate of a sample depends on each latent; a split that never
    mixes two of them fails.
    """
    flow, params = _random_flow(17, layers=10, hidden=(16,), size=0.3)
    latent = jax.random.uniform(jax.random.key(4), (17,))
    jacobian = jit(jax.jacfwd(lambda u: flow.sample(params, u[None])[0]))(latent)
    assert (np.abs(jacobian) > 0).all()


@pytest.mark.slow
def test_float32_agrees_with_double(x64):
    flow, params = _random_flow(4, size=0.1)
    u = jax.random.uniform(jax.random.key(5), (500, 4), minval=0.01, maxval=0.99)
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    x = jit(flow.sample)(single, u.astype(jnp.float32))
    assert x.dtype == jnp.float32
    np.testing.assert_allclose(x, jit(flow.sample)(params, u), atol=2e-3)


@pytest.mark.slow
def test_jit_vmap_and_seed(x64):
    flow, params = _random_flow(3)
    x = jax.random.normal(jax.random.key(6), (50, 3))
    eager = flow.log_prob(params, x)
    np.testing.assert_allclose(jax.jit(flow.log_prob)(params, x), eager, atol=1e-10)
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), params)
    vmapped = jax.vmap(flow.log_prob, (0, None))(stacked, x)
    np.testing.assert_allclose(vmapped[0], eager, atol=1e-10)
    once, again = (jax.tree.leaves(flow.init(jax.random.key(1))) for _ in range(2))
    for a, b in zip(once, again, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_loss_honours_weights_and_dropout():
    flow, params = _random_flow(2, dropout=0.5)
    x = jax.random.normal(jax.random.key(0), (64, 2))
    key, ones = jax.random.key(1), jnp.ones(64)
    no_dropout = coupling_flow(jax.random.normal(jax.random.key(0), (200, 2)))
    loss, loss_without = jit(flow.loss), jit(no_dropout.loss)
    doubled = loss_without(params, key, jnp.concatenate([x, x[:32]]), jnp.ones(96))
    weighted = loss_without(params, key, x, ones.at[:32].set(2.0))
    np.testing.assert_allclose(doubled, weighted, rtol=1e-5)
    assert loss(params, key, x, ones) != loss(params, jax.random.key(2), x, ones)
    # none outside training
    without = jit(no_dropout.log_prob)(params, x)
    np.testing.assert_allclose(jit(flow.log_prob)(params, x), without, rtol=1e-5)


@pytest.mark.slow
def test_symmetrised_loss_is_the_mean_over_both_halves():
    """Over 200 keys the loss averages to that of both halves; five standard deviations of the mean
    allowed.
    """
    flow, params = _random_flow(2)
    mirror = symmetrised(flow, lambda x: -x)
    x, w = jax.random.normal(jax.random.key(0), (500, 2)), jnp.ones(500)
    keys = jax.random.split(jax.random.key(1), 200)
    losses = np.asarray(jit(jax.vmap(lambda key: mirror.loss(params, key, x, w)))(keys))
    loss = jit(flow.loss)
    both = float(loss(params, keys[0], x, w) + loss(params, keys[0], -x, w)) / 2
    assert losses.std() > 0 and abs(losses.mean() - both) < 5 * losses.std() / np.sqrt(200)
    assert mirror.sample is flow.sample


def test_events_are_coordinates_enough():
    """NumPy or JAX, the flow is the one of their coordinates without bounded or periodic columns;
    other shapes and settings are one line.
    """
    x = jax.random.normal(jax.random.key(0), (200, 2))
    small = FlowConfig(layers=1, hidden=(8,), bins=4)
    flow = coupling_flow(coordinates(x), small)
    params = jit(flow.init)(jax.random.key(1))
    expected = jit(flow.log_prob)(params, x)
    for events in (x, np.asarray(x)):
        got = jit(coupling_flow(events, small).log_prob)(params, x)
        np.testing.assert_array_equal(got, expected)
    with pytest.raises(InputError, match=r"training events: .*\[n, dim\], got shape \[200\]"):
        coupling_flow(x[:, 0])
    with pytest.raises(InputError, match="at least 1 layer and 2 bins, got 0 layers, 8 bins"):
        coupling_flow(x, FlowConfig(layers=0))


def test_coordinates_on_an_interval(x64):
    """Real columns have mean 0 and width 1, others fill the interval; and back."""
    x = jax.random.uniform(jax.random.key(0), (2000, 3)) * jnp.asarray([[3.0, 10.0, 2 * np.pi]])
    both_ends = {"bounded": {1: (0.0, 10.0)}, "periodic": {2: (0.0, 2 * np.pi)}}
    own = coordinates(x, **both_ends).on(5.0)
    assert own.uniform.tolist() == [False, True, True]
    assert own.periodic.tolist() == [False, False, True]
    u = own.to_network(x)
    np.testing.assert_allclose([u[:, 0].mean(), u[:, 0].std()], [0, 1], atol=1e-6)
    largest = np.abs(np.asarray(u)).max(axis=0)[1:]
    assert (largest <= 5).all() and (largest > 4.95).all()
    np.testing.assert_allclose(own.to_events(u), x, atol=1e-6)
    shifted = u + jnp.asarray([[0.0, 0.0, 30.0]])
    np.testing.assert_allclose(own.wrap(shifted), u, atol=1e-6)
    narrower = own.on(np.pi)
    np.testing.assert_allclose(narrower.to_network(x)[:, 1:], u[:, 1:] * np.pi / 5, atol=1e-6)
    np.testing.assert_array_equal(narrower.on(5.0).scale, own.scale)


@pytest.mark.parametrize("settings", [{"bounded": {2: (0.0, 1.0)}}, {"periodic": {0: (1.0, 0.0)}}])
def test_bad_dimensions(settings):
    with pytest.raises(InputError, match="dimension"):
        coordinates(jnp.ones((5, 2)), **settings)


def test_constant_column_is_refused():
    with pytest.raises(InputError, match="width"):
        coordinates(jnp.ones((5, 2)))
