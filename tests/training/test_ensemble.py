"""fit and fit_ensemble: bits, devices, weights, divergence."""

import inspect
import subprocess
import sys
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.errors import DivergedError, InputError
from amplify.generators.coordinates import coordinates
from amplify.generators.coupling_flow import FlowConfig, coupling_flow
from amplify.generators.fitted_gaussian import fitted_gaussian, maximum_likelihood
from amplify.training.checks import check
from amplify.training.ensemble import ensemble_rows, fit_ensemble
from amplify.training.fit import FitConfig, fit, fit_members
from amplify.truth import ring
from amplify.types import Generator

X = ring.sample(jax.random.key(0), ring.Ring(), n=400)
SHORT = FitConfig(steps=20, batch=64)


@cache  # what is compiled for it serves all tests
def _flow():
    return coupling_flow(coordinates(X), FlowConfig(layers=2, hidden=(8,), bins=4))


def test_same_key_gives_the_same_bits_and_another_key_does_not():
    flow = _flow()
    first, again, another = (
        fit_ensemble(jax.random.key(k), flow, X, members=3, config=SHORT) for k in (1, 1, 2)
    )
    for leaf, same, other in zip(*map(jax.tree.leaves, (first, again, another)), strict=True):
        np.testing.assert_array_equal(leaf, same)
        if leaf.dtype.kind == "f":
            assert not np.array_equal(leaf, other)
    assert np.isfinite(first.losses).all() and first.losses.shape == (3, 20)


@pytest.mark.slow
def test_a_member_does_not_depend_on_the_others():
    """Three members on two devices, and the second of them alone on one: equal up to the rounding
    of another compilation.
    """
    assert len(jax.devices()) == 2
    rows = ensemble_rows(jax.random.key(5), len(X), members=3, resample="bootstrap")
    keys = jax.random.split(jax.random.key(6), 3)
    flow = _flow()
    together = fit_members(keys, flow, X, rows, config=SHORT)
    alone = fit_members(keys[1:2], flow, X, rows[1:2], config=SHORT)
    for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a[1], b[0], rtol=1e-3, atol=1e-5)


def test_fit_is_a_member_on_the_events_as_they_are():
    flow = _flow()
    fitted = fit(jax.random.key(3), flow, X, config=SHORT)
    keys, rows = jax.random.split(jax.random.key(3), 1), jnp.arange(len(X))[None]
    member = fit_members(keys, flow, X, rows, config=SHORT)[0]
    for leaf, same in zip(jax.tree.leaves(fitted), jax.tree.leaves(member), strict=True):
        np.testing.assert_array_equal(leaf, same)


@pytest.mark.slow
def test_training_approaches_the_entropy_of_the_ring():
    """4000 events, 600 steps: within .05 nat of the true density on fresh events."""
    x, fresh = (ring.sample(jax.random.key(k), ring.Ring(), n=4000) for k in (1, 2))
    flow = coupling_flow(coordinates(x))
    params = fit(jax.random.key(3), flow, x, config=FitConfig(steps=600)).params
    difference = ring.log_prob(ring.Ring(), fresh) - flow.log_prob(params, fresh)
    assert 0 < float(difference.mean()) < 0.05


def test_bootstrap_draws_with_replacement_and_none_keeps_the_events():
    rows = np.asarray(ensemble_rows(jax.random.key(0), 5000, members=4, resample="bootstrap"))
    distinct = np.array([len(np.unique(r)) for r in rows]) / 5000
    assert np.abs(distinct - (1 - np.exp(-1))).max() < 0.03  # about six standard deviations
    assert not np.array_equal(rows[0], rows[1])
    same_events = ensemble_rows(jax.random.key(0), 7, members=2, resample="none")
    np.testing.assert_array_equal(same_events, np.tile(np.arange(7), (2, 1)))


def test_spread_of_the_bootstrap_is_that_of_independent_training_sets():
    """Fitted Gaussians: the variance of the mean over 200 bootstrap members is width^2 / n;
    relative error 10 %, four sigma allowed.
    """
    x = 2 * jax.random.normal(jax.random.key(0), (500, 1))
    rows = ensemble_rows(jax.random.key(1), 500, members=200, resample="bootstrap")
    means = jax.vmap(lambda r: maximum_likelihood(x[r]).mean)(rows)
    assert abs(float(means.var(ddof=1)) / (float(x.var()) / 500) - 1) < 0.4


def test_event_weights_are_carried_along():
    """Half the events at -1 with weight 3, half at +1 with weight 1: the fitted mean is -1/2."""
    x = jnp.concatenate([jnp.full((200, 1), -1.0), jnp.full((200, 1), 1.0)])
    weight = jnp.concatenate([jnp.full(200, 3.0), jnp.full(200, 1.0)])
    config, key = FitConfig(steps=800, batch=400, learning_rate=0.02), jax.random.key(0)
    ensemble = fit_ensemble(key, fitted_gaussian(), x, members=4, weight=weight, config=config)
    np.testing.assert_allclose(ensemble.params.mean[:, 0], -0.5, atol=0.12)


def _explosive(limit: float) -> Generator:
    """A generator whose loss becomes infinite once a parameter passes a limit that depends on the
    member.
    """

    def loss(params, key, x, weight):
        passed = params["a"] > limit * params["late"]
        return jnp.where(passed, jnp.inf, -params["a"] * weight.mean())

    def init(key):
        return {"a": jnp.zeros(()), "late": jnp.where(jax.random.uniform(key) > 0.5, 1e9, 1.0)}

    return Generator(init, loss, lambda p, u: u, None, 2)


def test_divergence_names_member_and_step_and_keeps_the_others():
    generator, keys = _explosive(0.05), jax.random.split(jax.random.key(0), 6)
    late = [float(generator.init(jax.random.fold_in(key, 0))["late"]) > 1 for key in keys]
    assert 0 < sum(late) < 6
    first = late.index(False)
    rows, config = jnp.tile(jnp.arange(9), (6, 1)), FitConfig(steps=100, learning_rate=0.01)
    with pytest.raises(DivergedError, match=rf"member {first} at step \d+") as caught:
        fit_members(keys, generator, X, rows, config=config)
    ensemble = caught.value.ensemble
    np.testing.assert_array_equal(np.asarray(ensemble.diverged_at) < 0, late)
    assert np.isfinite(ensemble.params["a"]).all()
    survivors = ensemble.survivors()
    assert survivors.params["a"].shape == (sum(late),) and np.isfinite(survivors.losses).all()
    step, losses = int(ensemble.diverged_at[first]), ensemble.losses[first]
    assert np.isnan(losses[step:]).all() and np.isfinite(losses[:step]).all()


def test_micro_batches_add_up_to_the_minibatch():
    """The same events in four parts: the same losses and params up to the order of sums."""
    weight = jnp.linspace(0.5, 2.0, len(X))
    whole, parts = (
        fit(jax.random.key(4), fitted_gaussian(2), X, weight=weight, config=config)
        for config in (SHORT, SHORT._replace(micro_batch=16))
    )
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_progress_counts_to_the_end():
    told = []

    def progress(step, steps, losses):
        told.append((step, steps, losses.shape))

    fit_ensemble(
        jax.random.key(0), fitted_gaussian(2), X, members=3, config=SHORT, progress=progress
    )
    steps = [step for step, _, _ in told]
    assert told[-1] == (20, 20, (3,)) and steps == sorted(steps)


@pytest.mark.parametrize(
    ("x", "settings", "words"),
    [
        (X.at[3, 1].set(jnp.nan), {}, "finite"),
        (X[:, :1], {}, r"\[n, 2\]"),
        (X[:0], {}, r"\[n, 2\]"),
        (X, {"members": 0}, "members"),
        (X, {"weight": jnp.zeros(400)}, "positive sum"),
        (X, {"config": FitConfig(steps=0)}, "steps"),
        (X, {"config": FitConfig(batch=64, micro_batch=48)}, "divides the batch of 64"),
        (np.full((9, 2), np.inf), {}, "finite"),
    ],
)
def test_bad_input(x, settings, words):
    with pytest.raises(InputError, match=words):
        fit_ensemble(jax.random.key(0), fitted_gaussian(2), x, **{"members": 2, **settings})


def test_bad_input_that_types_exclude():
    """The checker of the tests stops such calls earlier; users have none, and get one line."""
    with pytest.raises(InputError, match="weights: expected 400 finite numbers"):
        check(fitted_gaussian(2), X, jnp.ones(3), jnp.zeros((2, 400), int), SHORT, None)
    rows = inspect.unwrap(ensemble_rows)
    with pytest.raises(InputError, match="resample: expected 'bootstrap' or 'none'"):
        rows(jax.random.key(0), 400, members=2, resample="jackknife")


PROGRAM = """
import sys, jax
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
import numpy as np
from amplify.generators.fitted_gaussian import fitted_gaussian
from amplify.training.ensemble import fit_ensemble
from amplify.training.fit import FitConfig
x = jax.random.normal(jax.random.key(0), (300, 2))
ensemble = fit_ensemble(
    jax.random.key(1), fitted_gaussian(2), x, members=3, config=FitConfig(steps=50)
)
numbers = *np.asarray(ensemble.params.mean).ravel(), *np.asarray(ensemble.losses).ravel()
print(len(jax.devices()), *numbers)
"""


@pytest.mark.slow
def test_one_device_agrees_with_two():
    """Up to rounding: another number of members per device is another compilation."""
    outputs = []
    for devices in "12":
        command = [sys.executable, "-c", PROGRAM, devices]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        outputs.append(done.stdout.split())
    assert [devices for devices, *_ in outputs] == ["1", "2"]
    on_one, on_two = (np.array(numbers, float) for _, *numbers in outputs)
    np.testing.assert_allclose(on_one, on_two, rtol=1e-3, atol=1e-5)
