"""Flow matching: closed forms, scipy's integrator and autodiff Jacobians as oracles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.stats import multivariate_normal

from amplify.errors import InputError
from amplify.generators.coordinates import Coordinates, coordinates
from amplify.generators.flow_matching import (
    Solver,
    Velocity,
    flow_matching,
    normal_base,
    vector_flow,
)
from amplify.nets.velocity import VectorVelocity, fourier_features
from amplify.sampling import uniform_latents
from amplify.training.fit import FitConfig, fit_members
from amplify.types import Trainable
from tests.compiled import jit


def _plain(dim, angles=()):
    """Events as they are, angles in [-pi, pi)."""
    angle = np.isin(np.arange(dim), angles)
    return Coordinates(np.zeros(dim), np.ones(dim), angle, angle, np.pi)


def _net(dim, angles=(), hidden=(16, 16), seed=0):
    """A velocity with random weights everywhere, the last layer included."""
    net = VectorVelocity(hidden, tuple(i in angles for i in range(dim)), 3)
    params = jit(net.init)(jax.random.key(seed), jnp.zeros((1, dim)), jnp.zeros(1))
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
    noise = [jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)]
    leaves = [leaf + 0.3 * change for leaf, change in zip(leaves, noise, strict=True)]
    params = jax.tree.unflatten(tree, leaves)
    return Velocity(lambda key: params, net.apply), params


@pytest.mark.usefixtures("x64")
def test_a_linear_velocity_gives_the_gaussian_of_the_closed_form():
    a = np.array([[0.3, -0.8], [0.5, -0.2]])
    linear = Velocity(lambda key: {}, lambda params, u, t: u @ jnp.asarray(a).T)
    flow = flow_matching(linear, _plain(2), solver=Solver(40))
    move = expm(a)
    x = np.random.default_rng(0).normal(size=(50, 2))
    expected = multivariate_normal(np.zeros(2), move @ move.T).logpdf(x)
    np.testing.assert_allclose(jit(flow.log_prob)({}, jnp.asarray(x)), expected, rtol=1e-7)
    latent = uniform_latents(jax.random.key(1), 20, 2).astype(jnp.float64)
    base = normal_base(jnp.zeros(2, bool)).sample(latent)
    np.testing.assert_allclose(jit(flow.sample)({}, latent), base @ move.T, atol=1e-8)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_samples_agree_with_scipy_and_density_with_the_jacobian_of_sampling():
    velocity, params = _net(3)
    real = np.zeros(3, bool)
    own = Coordinates(np.array([1.0, -2, 0.5]), np.array([2.0, 0.5, 1.5]), real, real)
    flow = flow_matching(velocity, own, solver=Solver(40))
    latent = uniform_latents(jax.random.key(2), 2, 3).astype(jnp.float64)
    base = normal_base(jnp.asarray(own.periodic))
    x = np.asarray(jit(flow.sample)(params, latent))
    field = jit(lambda t, u: velocity.apply(params, u[None], jnp.asarray(t)[None])[0])
    for u0, end in zip(np.asarray(base.sample(latent)), x, strict=True):
        solution = solve_ivp(field, (0, 1), u0, rtol=1e-8, atol=1e-10, method="DOP853")
        np.testing.assert_allclose((end - own.shift) / own.scale, solution.y[:, -1], atol=1e-6)
    jacobian = jit(jax.vmap(jax.jacfwd(lambda u: flow.sample(params, u[None])[0])))(latent)
    # uniform latents: no density of their own
    expected = -np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(jit(flow.log_prob)(params, jnp.asarray(x)), expected, atol=2e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_hutchinson_with_many_probes_is_the_exact_divergence():
    velocity, params = _net(4)
    x = jax.random.normal(jax.random.key(3), (6, 4))
    exact, many, few = (
        jit(flow_matching(velocity, _plain(4), solver=Solver(10, probes=n)).log_prob)(params, x)
        for n in (0, 1000, 1)
    )
    # errors fall with the root of the probes: about .03 and 1
    assert np.abs(many - exact).max() < 0.1 < np.abs(few - exact).max()


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_the_density_of_an_angle_and_a_line_integrates_to_one():
    velocity, params = _net(2, angles=(1,))
    flow = flow_matching(velocity, _plain(2, (1,)), solver=Solver(20))
    line, circle = np.linspace(-9, 9, 241), np.linspace(-np.pi, np.pi, 121)[:-1]
    grid = jnp.asarray(np.stack(np.meshgrid(line, circle, indexing="ij"), -1).reshape(-1, 2))
    cell = (line[1] - line[0]) * (circle[1] - circle[0])
    total = np.exp(jit(flow.log_prob)(params, grid)).sum() * cell
    assert total == pytest.approx(1, abs=2e-3)


@pytest.mark.slow
def test_angles_go_the_short_way_round_and_stay_on_the_circle():
    velocity, params = _net(2, angles=(1,))
    flow = flow_matching(velocity, _plain(2, (1,)), solver=Solver(6))
    x = jax.random.uniform(jax.random.key(4), (200, 2), minval=-3.0, maxval=3.0)
    turned = x + jnp.array([[0.0, 2 * np.pi]])
    key, weight = jax.random.key(5), jnp.ones(200)
    of_x, of_turned = (jit(flow.loss)(params, key, y, weight) for y in (x, turned))
    np.testing.assert_allclose(of_x, of_turned, rtol=1e-5)
    still = flow_matching(Velocity(lambda key: {}, lambda params, u, t: 0 * u), _plain(2, (1,)))
    # differences on the circle are uniform in [-pi, pi): variance pi^2 / 3; along the line 1 + 3;
    # without wrapping the first would be twice as large
    far = jit(still.loss)({}, key, x.at[:, 1].set(3.0).at[:, 0].set(0.0), weight)
    assert float(far) == pytest.approx((np.pi**2 / 3 + 1) / 2, rel=0.2)
    samples = jit(flow.sample)(params, uniform_latents(jax.random.key(6), 500, 2))
    assert np.abs(samples[:, 1]).max() <= np.pi + 1e-6


@pytest.mark.slow
def test_blocks_do_not_change_events():
    velocity, params = _net(2)
    latent = uniform_latents(jax.random.key(7), 103, 2)
    at_once, in_blocks = (
        jit(flow_matching(velocity, _plain(2), solver=Solver(5, block=size)).sample)(params, latent)
        for size in (None, 10)
    )
    np.testing.assert_allclose(at_once, in_blocks, atol=1e-6)


def test_weights_count_as_repetitions_in_the_loss():
    velocity, params = _net(2)
    flow = flow_matching(velocity, _plain(2))
    x, key = jax.random.normal(jax.random.key(8), (50, 2)), jax.random.key(9)
    half = jnp.where(jnp.arange(50) < 25, 1.0, 0.0)
    loss = jit(flow.loss)
    by_weight = loss(params, key, x, half)
    other = loss(params, key, x.at[25:].set(100.0), half)
    np.testing.assert_allclose(by_weight, other, rtol=1e-6)
    np.testing.assert_allclose(loss(params, key, x, 3 * half), by_weight, rtol=1e-6)


def test_fourier_features():
    t = jnp.array([0.0, 0.25, 1.0])
    phase = np.pi * np.asarray(t)[:, None] * np.arange(1, 9)
    waves = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
    np.testing.assert_allclose(fourier_features(t, 8)[:, 1:], waves, atol=2e-6)
    np.testing.assert_allclose(
        fourier_features(t, 2)[1], [0.25, np.cos(np.pi / 4), 0, np.sin(np.pi / 4), 1], atol=1e-6
    )
    assert fourier_features(t, 0).shape == (3, 1)


def test_one_time_for_all_points_is_that_time_for_each():
    velocity, params = _net(2)
    latent = uniform_latents(jax.random.key(3), 20, 2)
    once, each = (
        flow_matching(velocity._replace(same_time=same), _plain(2), solver=Solver(3))
        for same in (True, False)
    )
    a, b = (jit(flow.sample)(params, latent) for flow in (once, each))
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_training_moves_the_flow_to_the_data():
    """Mean and width of a shifted Gaussian; fixed seed, the errors of the means are .02."""
    x = 5 + 0.5 * jax.random.normal(jax.random.key(10), (2000, 1))
    flow = vector_flow(x, (16, 16), solver=Solver(8))
    keys, rows = jax.random.split(jax.random.key(11), 2), jnp.tile(jnp.arange(2000), (2, 1))
    ensemble = fit_members(keys, flow, x, rows, config=FitConfig(200, 128, 1e-2))
    latent = uniform_latents(jax.random.key(12), 4000, 1)
    for m in range(2):
        member = jax.tree.map(lambda leaf, m=m: leaf[m], ensemble.params)
        y = jit(flow.sample)(member, latent)
        assert float(y.mean()) == pytest.approx(5, abs=0.1)
        assert float(y.std()) == pytest.approx(0.5, abs=0.06)


@pytest.mark.slow
def test_micro_batches_add_up_to_the_batch():
    """The loss of a velocity that ignores its base draws by the way of its weights: here the mean
    of x alone.
    """

    def loss(params, key, x, weight):
        return (weight * ((x - params[None]) ** 2).sum(axis=1)).sum() / weight.sum()

    x = jax.random.normal(jax.random.key(13), (300, 2))
    weight = jax.random.uniform(jax.random.key(14), (300,)) + 0.1
    trainable, rows = Trainable(lambda key: jnp.ones(2), loss, 2), jnp.arange(300)[None]
    at_once, *in_parts = (
        fit_members(
            jax.random.split(jax.random.key(15), 1),
            trainable,
            x,
            rows,
            weight=weight,
            config=FitConfig(30, 64, 0.05, micro_batch=size),
        )
        for size in (None, 64, 16)
    )
    for fitted in in_parts:
        np.testing.assert_allclose(fitted.params, at_once.params, rtol=1e-5)
        np.testing.assert_allclose(fitted.losses, at_once.losses, rtol=1e-4)


def test_bad_settings_are_one_line():
    x = jnp.zeros((10, 2)).at[:, 0].set(jnp.arange(10.0))
    with pytest.raises(InputError, match="finite width"):
        coordinates(x)
    with pytest.raises(InputError, match=r"a column of 0\.\.1 .*got column 2"):
        vector_flow(x, angles=(2,))
    bounded = coordinates(x + jnp.eye(10, 2), bounded={0: (0.0, 10.0)})
    with pytest.raises(InputError, match=r"real or periodic dimensions, got bounded columns \[0\]"):
        flow_matching(_net(2)[0], bounded)
    with pytest.raises(InputError, match="micro_batch that divides"):
        fit_members(
            jax.random.split(jax.random.key(0), 1),
            vector_flow(x + jnp.eye(10, 2)),
            x,
            jnp.arange(10)[None],
            config=FitConfig(1, 10, micro_batch=3),
        )
