"""fit and fit_ensemble: bits, devices, weights, divergence."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.errors import DivergedError, InputError
from amplify.generators.coupling_flow import FlowConfig, coordinates, coupling_flow
from amplify.generators.fitted_gaussian import fitted_gaussian, maximum_likelihood
from amplify.training.ensemble import ensemble_rows, fit_ensemble
from amplify.training.fit import FitConfig, fit, fit_members
from amplify.truth import ring
from amplify.types import Generator

X = ring.sample(jax.random.key(0), ring.Ring(), 400)
SHORT = FitConfig(steps=20, batch=64)


def _flow():
    return coupling_flow(coordinates(X), FlowConfig(layers=2, hidden=(8,), bins=4))


def test_same_key_gives_the_same_bits_and_another_key_does_not():
    a, b, c = (
        fit_ensemble(jax.random.key(k), _flow(), X, members=3, config=SHORT) for k in (1, 1, 2)
    )
    for one, same, other in zip(
        jax.tree.leaves(a), jax.tree.leaves(b), jax.tree.leaves(c), strict=True
    ):
        np.testing.assert_array_equal(one, same)
        if one.dtype.kind == "f":
            assert not np.array_equal(one, other)
    assert np.isfinite(a.loss).all() and a.loss.shape == (3, 20)


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
    params, loss = fit(jax.random.key(3), flow, X, config=SHORT)
    ensemble = fit_members(
        jax.random.split(jax.random.key(3), 1), flow, X, jnp.arange(len(X))[None], config=SHORT
    )
    np.testing.assert_array_equal(loss, ensemble.loss[0])
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[0]), params, ensemble.params)


def test_training_approaches_the_entropy_of_the_ring():
    """4000 events, 600 steps: within .05 nat of the true density on fresh events."""
    x, fresh = (
        ring.sample(jax.random.key(1), ring.Ring(), 4000),
        ring.sample(jax.random.key(2), ring.Ring(), 4000),
    )
    flow = coupling_flow(coordinates(x))
    params, _ = fit(jax.random.key(3), flow, x, config=FitConfig(steps=600))
    difference = ring.log_prob(ring.Ring(), fresh) - flow.log_prob(params, fresh)
    assert 0 < float(difference.mean()) < 0.05


def test_bootstrap_draws_with_replacement_and_none_keeps_the_events():
    rows = np.asarray(ensemble_rows(jax.random.key(0), 5000, members=4, resample="bootstrap"))
    distinct = np.array([len(np.unique(r)) for r in rows]) / 5000
    assert np.abs(distinct - (1 - np.exp(-1))).max() < 0.03  # about six standard deviations
    assert not np.array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(
        ensemble_rows(jax.random.key(0), 7, members=2, resample="none"),
        np.tile(np.arange(7), (2, 1)),
    )


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
    ensemble = fit_ensemble(
        jax.random.key(0),
        fitted_gaussian(),
        x,
        members=4,
        weight=weight,
        config=FitConfig(steps=800, batch=400, learning_rate=0.02),
    )
    np.testing.assert_allclose(ensemble.params.mean[:, 0], -0.5, atol=0.12)


def _explosive(limit: float) -> Generator:
    """A generator whose loss becomes infinite once a parameter passes a limit that depends on the
    member.
    """

    def loss(params, key, x, weight):
        return jnp.where(
            params["a"] > limit * params["late"], jnp.inf, -params["a"] * weight.mean()
        )

    def init(key):
        return {"a": jnp.zeros(()), "late": jnp.where(jax.random.uniform(key) > 0.5, 1e9, 1.0)}

    return Generator(init, loss, lambda p, u: u, None, 2)


def test_divergence_names_member_and_step_and_keeps_the_others():
    generator = _explosive(0.05)
    late = [
        float(generator.init(jax.random.fold_in(k, 0))["late"]) > 1
        for k in jax.random.split(jax.random.key(0), 6)
    ]
    assert 0 < sum(late) < 6
    with pytest.raises(DivergedError, match=rf"member {late.index(False)} at step \d+") as caught:
        fit_members(
            jax.random.split(jax.random.key(0), 6),
            generator,
            X,
            jnp.tile(jnp.arange(9), (6, 1)),
            config=FitConfig(steps=100, learning_rate=0.01),
        )
    ensemble = caught.value.ensemble
    np.testing.assert_array_equal(np.asarray(ensemble.diverged_at) < 0, late)
    assert np.isfinite(ensemble.params["a"]).all()
    survivors = ensemble.survivors()
    assert survivors.params["a"].shape == (sum(late),) and np.isfinite(survivors.loss).all()
    step = int(ensemble.diverged_at[late.index(False)])
    assert (
        np.isnan(ensemble.loss[late.index(False), step:]).all()
        and np.isfinite(ensemble.loss[late.index(False), :step]).all()
    )


def test_progress_counts_to_the_end():
    seen = []
    fit_ensemble(
        jax.random.key(0),
        fitted_gaussian(2),
        X,
        members=3,
        config=SHORT,
        progress=lambda step, steps, loss: seen.append((step, steps, loss.shape)),
    )
    assert seen[-1] == (20, 20, (3,)) and [s for s, _, _ in seen] == sorted(s for s, _, _ in seen)


@pytest.mark.parametrize(
    ("x", "settings", "words"),
    [
        (X.at[3, 1].set(jnp.nan), {}, "finite"),
        (X[:, :1], {}, r"\[n, 2\]"),
        (X[:0], {}, r"\[n, 2\]"),
        (X, {"members": 0}, "members"),
        (X, {"weight": jnp.zeros(400)}, "positive sum"),
        (X, {"weight": jnp.ones(3)}, "400"),
        (X, {"config": FitConfig(steps=0)}, "steps"),
        (X, {"resample": "jackknife"}, "bootstrap"),
    ],
)
def test_bad_input(x, settings, words):
    with pytest.raises((InputError, Exception), match=words):
        fit_ensemble(jax.random.key(0), fitted_gaussian(2), x, **{"members": 2, **settings})


def test_one_device_agrees_with_two():
    """Up to rounding: another number of members per device is another compilation."""
    program = (
        "import sys, jax; jax.config.update('jax_num_cpu_devices', int(sys.argv[1]));"
        "import numpy as np;"
        "from amplify.generators.fitted_gaussian import fitted_gaussian;"
        "from amplify.training.ensemble import fit_ensemble;"
        "from amplify.training.fit import FitConfig;"
        "x = jax.random.normal(jax.random.key(0), (300, 2));"
        "e = fit_ensemble(jax.random.key(1), fitted_gaussian(2), x, members=3, config=FitConfig(steps=50));"
        "print(len(jax.devices()), *np.asarray(e.params.mean).ravel(), *np.asarray(e.loss).ravel())"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program, n], capture_output=True, text=True, check=True
        ).stdout.split()
        for n in "12"
    ]
    assert [o[0] for o in outputs] == ["1", "2"]
    np.testing.assert_allclose(*(np.array(o[1:], float) for o in outputs), rtol=1e-3, atol=1e-5)
