"""The truncation of a generator: weights of own candidates, densities, sampling, and what is
refused. Training towards a known truth is in test_truncated_truth.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

from amplify import fit, fitted_gaussian, truncated
from amplify import regions as rg
from amplify.errors import DivergedError, InputError
from amplify.generators.fitted_gaussian import GaussianParams
from amplify.generators.symmetrised import symmetrised
from amplify.integrals import member_integrals
from amplify.sampling import sample_members
from amplify.training import own_events
from amplify.training.fit import FitConfig
from amplify.training.own_events import OwnEvents

KEY = jax.random.key(0)
GAUSSIAN = fitted_gaussian(1)
PARAMS = GaussianParams(mean=jnp.array([0.3]), log_width=jnp.array([0.1]))
MEMBERS = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf + 0.2]), PARAMS)


def above(x):
    """Events that pass."""
    return x[:, 0] > 0.5


def refreshed(generator, own, key, index, batch):
    """Own candidates after one step."""
    return own_events.refreshed(generator.truncation, PARAMS, own, key, index, batch)


def completed(generator, own, x, weight):
    """A minibatch with own candidates that count fully."""
    return own_events.completed(generator.truncation, own, KEY, jnp.float32(1), x, weight)


def z_of(params):
    """The acceptance in closed form."""
    return norm.sf((0.5 - params.mean[0]) / jnp.exp(params.log_width[0]))


@pytest.mark.parametrize("loss", ["completion", "score"])
def test_own_candidates_give_the_gradient_of_the_truncated_likelihood(loss):
    """Of 2^16 candidates: 4 standard errors, a false-alarm rate of 1e-4 for each of two numbers."""
    generator = truncated(GAUSSIAN, above, loss=loss)
    x, n = jnp.array([[0.6], [1.4], [2.0], [0.9]]), 1 << 16
    data = jnp.tile(x, (n // 2, 1))  # half a minibatch of candidates are n

    def exact(params):
        return -(GAUSSIAN.log_prob(params, x) - jnp.log(z_of(params))).mean()

    start = own_events.none_yet(generator.truncation, 2 * n)
    index = jnp.int32(0)
    own, share = refreshed(generator, start, KEY, index, 2 * n)
    own = own._replace(acceptance=z_of(PARAMS))
    weighted = own_events.completed(
        generator.truncation, own, KEY, jnp.float32(1), data, jnp.ones(2 * n)
    )
    events, weight, scale = weighted
    gradient = jax.grad(lambda p: scale * generator.loss(p, KEY, events, weight))(PARAMS)
    expected = jax.grad(exact)(PARAMS)
    each = jax.vmap(jax.grad(lambda p, x: GAUSSIAN.log_prob(p, x[None])[0]), (None, 0))
    z = float(z_of(PARAMS))
    beta = 1 / z if loss == "completion" else 1.0
    factor = beta - above(own.x) / z
    for name in ("mean", "log_width"):
        noise = float((factor * getattr(each(PARAMS, own.x), name)[:, 0]).std()) / n**0.5
        found, truth = (float(getattr(g, name)[0]) for g in (gradient, expected))
        assert abs(found - truth) < 4 * noise
        assert noise < 0.02
    assert abs(float(share) - z) < 4 * (z * (1 - z) / n) ** 0.5


def test_weights_of_data_carry_over_to_own_candidates():
    """Own candidates count in the proportion (1 - Z) / Z of the weight of the minibatch."""
    generator = truncated(GAUSSIAN, above, loss="completion")
    x, weight = jnp.ones((4, 1)), jnp.array([1.0, 2.0, 3.0, 4.0])
    own = OwnEvents(jnp.array([[0.0], [1.0]]), jnp.array([0, 1]), jnp.float32(0.25))
    events, weights, scale = own_events.completed(
        generator.truncation, own, KEY, jnp.float32(1), x, weight
    )
    assert events.shape == (6, 1)
    # one failed candidate of two: 10 x 1 / .25 / 2
    np.testing.assert_allclose(np.sort(weights), [0, 1, 2, 3, 4, 20])
    assert float(scale) == 3.0
    # mixed: each half of it has one candidate, for micro-batches
    assert [float(w) for w in weights[jnp.array([2, 5])]] == [20.0, 0.0]


def test_candidates_that_are_not_finite_count_neither_way():
    """A generator half of whose candidates are nan: the share is that of the others."""

    def broken(params, latent):
        x = GAUSSIAN.sample(params, latent)
        return jnp.where(jnp.arange(len(latent))[:, None] % 2 == 0, x, jnp.nan)

    generator = truncated(GAUSSIAN._replace(sample=broken), above)
    start = own_events.none_yet(generator.truncation, 2000)
    own, share = refreshed(generator, start, KEY, jnp.int32(0), 2000)
    assert int((own.outcome == -1).sum()) == 500
    assert abs(float(share) - float(z_of(PARAMS))) < 0.09  # 4 standard errors
    weighted = own_events.completed(
        generator.truncation, own, KEY, jnp.float32(1), jnp.ones((2000, 1)), jnp.ones(2000)
    )
    assert all(bool(jnp.isfinite(part).all()) for part in weighted)


def test_hardly_any_passing_candidates_leave_the_data_alone():
    """No weight where next to nothing passes: nothing to run away to."""
    generator = truncated(GAUSSIAN, above)
    own = OwnEvents(jnp.zeros((2, 1)), jnp.array([0, 0]), jnp.float32(0.005))
    _, weight, scale = own_events.completed(
        generator.truncation, own, KEY, jnp.float32(1), jnp.ones((4, 1)), jnp.ones(4)
    )
    assert float(scale) == 1.0
    assert float(jnp.abs(weight).sum()) == 4.0


def test_own_candidates_come_in_slowly():
    """The loss is -log p + strength log Z."""
    values = [float(own_events.strength(jnp.int32(i), 300)) for i in (0, 50, 100, 299)]
    np.testing.assert_allclose(values, [0, 0.5, 1, 1])


def test_kept_candidates_replace_the_oldest():
    """Three steps are kept: the fourth takes the place of the first."""
    generator = truncated(GAUSSIAN, above, draws=2, kept=3)
    own = own_events.none_yet(generator.truncation, 8)
    assert own.x.shape == (6, 1)
    drawn = []
    for index in range(4):
        own, _ = own_events.refreshed(
            generator.truncation, PARAMS, own, jax.random.key(index), jnp.int32(index), 8
        )
        drawn.append(np.asarray(own.x[2 * (index % 3) : 2 * (index % 3) + 2]))
    np.testing.assert_array_equal(own.x, np.concatenate([drawn[3], drawn[1], drawn[2]]))
    events, _, _ = own_events.completed(
        generator.truncation, own, KEY, jnp.float32(1), jnp.full((8, 1), 99.0), jnp.ones(8)
    )
    assert set(np.ravel(events)) <= {99.0, *map(float, np.ravel(own.x))}


def test_log_density_is_normalised():
    """Sobol points give Z to a few 1e-4; jit equals eager, vmap equals a loop."""
    generator = truncated(GAUSSIAN, above)
    x = jnp.linspace(-1, 6, 8)[:, None]
    found = generator.log_prob(PARAMS, x)
    expected = GAUSSIAN.log_prob(PARAMS, x) - jnp.log(z_of(PARAMS))
    inside = np.asarray(above(x))
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-3)
    assert (np.asarray(found)[~inside] == -np.inf).all()
    np.testing.assert_allclose(jax.jit(generator.log_prob)(PARAMS, x), found, rtol=1e-5)
    both = jax.vmap(generator.log_prob, (0, None))(MEMBERS, x)
    np.testing.assert_allclose(both[0], found, rtol=1e-5)


def test_sampling_rejects_and_tells_the_efficiency():
    """As many events as asked for, all of which pass, distributed like the truncated density; the
    efficiency within 4 standard errors of Z.
    """
    generator, n = truncated(GAUSSIAN, above), 40_000
    samples = sample_members(KEY, generator, MEMBERS, n)
    assert samples.x.shape == (2, n, 1)
    assert bool(above(samples.x.reshape(-1, 1)).all())
    for m in range(2):
        params = jax.tree.map(lambda leaf, m=m: leaf[m], MEMBERS)
        z = float(z_of(params))
        assert samples.efficiency is not None
        assert abs(samples.efficiency[m] - z) < 4 * (z * (1 - z) * z / n) ** 0.5 + 1e-3
        sf = norm.sf((samples.x[m, :, 0] - params.mean) / jnp.exp(params.log_width)) / z
        distance = np.abs(np.sort(np.asarray(sf)) - (np.arange(n) + 0.5) / n).max()
        assert distance < 1.95 / n**0.5  # false-alarm rate .001
    again = sample_members(KEY, generator, MEMBERS, n)
    np.testing.assert_array_equal(samples.x, again.x)


def test_integrals_are_shares_of_what_passes():
    """Monte Carlo within 4 standard errors, Sobol within a thousandth; the latter cannot be kept as
    a sample.
    """
    generator, far = truncated(GAUSSIAN, above), rg.tail(rg.column(0), 1.5, "x")
    params = jax.tree.map(lambda leaf: leaf[0], MEMBERS)
    expected = float(norm.sf((1.5 - params.mean[0]) / jnp.exp(params.log_width[0])) / z_of(params))
    monte_carlo = member_integrals(KEY, generator, MEMBERS, far, 40_000)
    assert monte_carlo.n_gen == 40_000
    assert abs(monte_carlo.integral[0, 0] - expected) < 4 * 0.5 / 200
    sobol = member_integrals(KEY, generator, MEMBERS, far, 1 << 14, sobol=True)
    assert sobol.n_gen is None
    assert abs(sobol.integral[0, 0] - expected) < 1e-3
    with pytest.raises(InputError, match="Sobol latents"):
        sample_members(KEY, generator, MEMBERS, 1 << 10, sobol=True)


def test_micro_batches_change_nothing():
    """Half a minibatch at once gives the same training as all of it."""
    generator = truncated(GAUSSIAN, above)
    x = np.abs(np.random.default_rng(0).normal(size=(200, 1))) + 0.5
    config = FitConfig(steps=20, batch=32)
    whole, parts = (
        fit(KEY, generator, x, config=config._replace(micro_batch=size)) for size in (None, 16)
    )
    np.testing.assert_allclose(whole.params.mean, parts.params.mean, rtol=1e-4)
    assert whole.acceptance is not None
    assert whole.acceptance.shape == (20,)


def test_symmetrised_on_either_side():
    """A truncation survives a symmetrisation, and its own candidates are mirrored like data."""
    x = np.random.default_rng(0).normal(size=(400, 2))
    x = x[np.abs(x[:, 0]) < 1]
    config = FitConfig(steps=30, batch=64)

    def inside(x):
        return jnp.abs(x[:, 0]) < 1

    def mirror(x):
        return x * jnp.array([[-1.0, 1.0]])

    flow = fitted_gaussian(2)
    outer = symmetrised(truncated(flow, inside), mirror)
    inner = truncated(symmetrised(flow, mirror), inside)
    fits = [fit(KEY, g, x, config=config).losses for g in (outer, inner)]
    np.testing.assert_allclose(fits[0], fits[1], rtol=1e-5)


def test_what_is_refused():
    """One line each: what passes, the loss, training events that fail, a generator that makes
    nothing that passes.
    """
    with pytest.raises(InputError, match="passes: expected a function x"):
        truncated(GAUSSIAN, lambda x: np.asarray(x)[:, 0] > 0)
    with pytest.raises(InputError, match="booleans"):
        truncated(GAUSSIAN, lambda x: x[:, 0])
    with pytest.raises(InputError, match="likelihood"):
        truncated(GAUSSIAN._replace(likelihood=False), above, loss="score")
    with pytest.raises(InputError, match="not truncated"):
        truncated(truncated(GAUSSIAN, above), above)
    with pytest.raises(InputError, match="training events: expected events that pass"):
        fit(KEY, truncated(GAUSSIAN, above), np.zeros((10, 1)))
    fitted = fit(KEY, GAUSSIAN, np.zeros((10, 1)), config=FitConfig(steps=1))
    with pytest.raises(InputError, match="efficiency"):
        fitted.efficiency(KEY)
    never = truncated(GAUSSIAN, lambda x: x[:, 0] > 100)
    with pytest.raises(InputError, match="candidates that pass"):
        sample_members(KEY, never, MEMBERS, 10)
    config = FitConfig(steps=2)
    with pytest.raises(DivergedError, match=r"0\.0% of member 0"):
        fit(KEY, never, np.full((10, 1), 101.0), config=config)


def test_efficiency_has_its_error():
    """Within 4 of its errors of Z in closed form."""
    x = np.full((10, 1), 1.0) + np.arange(10)[:, None] / 10
    fitted = fit(KEY, truncated(GAUSSIAN, above), x, config=FitConfig(steps=2))
    value, error = fitted.efficiency(jax.random.key(1), 1 << 14)
    assert abs(value - float(z_of(fitted.params))) < 4 * error
    assert 0 < error < 0.005
