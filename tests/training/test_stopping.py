"""Averages of params, schedules, and trainings that end where the criterion is best; on a generator
whose parameter moves by the learning rate in every step, so that all is known.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.errors import InputError
from amplify.generators.fitted_gaussian import fitted_gaussian
from amplify.training.ensemble import fit_ensemble
from amplify.training.fit import FitConfig, Stopping, fit, fit_members
from amplify.training.stopping import _unseen, pool_loss
from amplify.types import Generator

RATE = 0.05
MOVING = FitConfig(steps=100, batch=2, learning_rate=RATE, schedule="constant")
X = np.arange(20.0)[:, None]
KEY = jax.random.key(0)


def _moving(best: float, *, density: bool = True) -> Generator:
    """A parameter `a` that grows forever; it describes unseen events best at `best`."""

    def loss(params, key, x, weight):
        # its gradient is -1 wherever a is; its value is the distance from the best a
        a, value = params["a"], (params["a"] - best) ** 2
        return jax.lax.stop_gradient(value + a) - a

    def log_prob(params, x):
        return jnp.full(len(x), -((params["a"] - best) ** 2))

    def init(key):
        return {"a": jnp.zeros(())}

    return Generator(init, loss, lambda p, u: u, log_prob if density else None, 1)


@pytest.mark.parametrize("density", [True, False])
@pytest.mark.parametrize("resample", ["bootstrap", "none"])
def test_the_best_params_are_kept(density, resample):
    """a = 1 is reached after 20 steps; checks every 5, three more without a better value."""
    stop = Stopping(every=5, patience=3, holdout=0.25)
    ensemble = fit_ensemble(
        KEY,
        _moving(1.0, density=density),
        X,
        members=3,
        resample=resample,
        config=MOVING,
        stop=stop,
    )
    assert ensemble.stopped is not None and ensemble.stopped.step == 20
    assert ensemble.stopped.steps == (5, 10, 15, 20, 25, 30, 35)
    values = (RATE * np.array(ensemble.stopped.steps) - 1) ** 2
    np.testing.assert_allclose(ensemble.stopped.values, values, atol=1e-4)
    np.testing.assert_allclose(ensemble.params["a"], 1, rtol=1e-3)
    assert ensemble.losses.shape == (3, 35)
    assert ensemble[1].stopped == ensemble.stopped and len(ensemble.survivors()) == 3


def test_refitting_trains_on_all_events_for_as_many_steps():
    """The same bits as a training without stop of that length."""
    x = np.random.default_rng(0).normal(size=(200, 1))
    config = FitConfig(100, 32, 0.1, schedule="constant")
    stop = Stopping(every=10, patience=2, refit=True)
    fitted = fit(KEY, fitted_gaussian(1), x, config=config, stop=stop)
    assert fitted.stopped is not None
    alone = fit(KEY, fitted_gaussian(1), x, config=config._replace(steps=fitted.stopped.step))
    np.testing.assert_array_equal(fitted.losses, alone.losses)
    np.testing.assert_array_equal(fitted.params.mean, alone.params.mean)


def test_training_that_never_stops_getting_better_uses_all_its_steps():
    fitted = fit(KEY, _moving(100.0), X, config=MOVING, stop=Stopping(every=30))
    assert fitted.stopped is not None and fitted.stopped.step == 90
    np.testing.assert_allclose(fitted.params["a"], 90 * RATE, rtol=1e-3)


def test_the_average_is_that_of_the_params():
    """Of parameters k RATE after step k = 1..50."""
    config = MOVING._replace(steps=50, average=0.8)
    fitted = fit(KEY, _moving(1.0), X, config=config)
    average = 0.0
    for k in range(50):
        average += (1 - min(0.8, (1 + k) / (4 + k))) * ((k + 1) * RATE - average)
    np.testing.assert_allclose(fitted.params["a"], average, rtol=1e-3)
    alone = fit(KEY, _moving(1.0), X, config=config._replace(average=None))
    np.testing.assert_allclose(alone.params["a"], 50 * RATE, rtol=1e-3)


def test_warm_up_rises_and_cosine_falls():
    """The parameter moves by the sum of the learning rates."""
    for schedule, rest in (("constant", 90.0), ("cosine", 45.5)):
        config = MOVING._replace(warm_up=10, schedule=schedule)
        fitted = fit(KEY, _moving(1.0), X, config=config)
        np.testing.assert_allclose(fitted.params["a"], RATE * (4.5 + rest), rtol=2e-3)


def test_unseen_events_and_their_pool():
    """Two members, three events, the last of which both have seen."""
    unseen = _unseen(np.array([[0, 0, 2], [1, 2, 2]]), 3)
    np.testing.assert_array_equal(unseen, [[False, True, False], [True, False, False]])
    log_prob = np.log(np.array([[9.0, 0.2, 9.0], [0.4, 9.0, 9.0]]))
    weight = np.array([1.0, 3.0, 5.0])
    expected = -(1 * np.log(0.4) + 3 * np.log(0.2)) / 4
    assert pool_loss(log_prob, unseen, weight) == pytest.approx(expected)


def test_a_fitted_gaussian_stops_with_weights():
    """It cannot overfit: what is kept is as good as a long training, within .02 of the entropy."""
    x = np.random.default_rng(0).normal(2.0, 3.0, (2000, 1))
    weight = np.where(x[:, 0] > 2, 2.0, 1.0)
    config = FitConfig(1000, 256, 0.05, schedule="constant", average=0.95)
    generator, stop = fitted_gaussian(1), Stopping(every=50, patience=3)
    settings = {"config": config, "stop": stop, "weight": weight}
    ensemble = fit_ensemble(KEY, generator, x, members=3, **settings)
    mean = np.average(x[:, 0], weights=weight)
    deviation = np.sqrt(np.average((x[:, 0] - mean) ** 2, weights=weight))
    entropy = 0.5 + np.log(deviation * np.sqrt(2 * np.pi))
    assert ensemble.stopped is not None
    assert abs(min(ensemble.stopped.values) - entropy) < 0.02


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        (Stopping(every=0), "at least 1"),
        (Stopping(holdout=0), "between 0 and 1"),
        (Stopping(criterion="likelihood"), "'density' or 'loss'"),
    ],
)
def test_settings_without_sense_are_refused(stop, message):
    with pytest.raises(InputError, match=message):
        fit(KEY, _moving(1.0), X, config=MOVING, stop=stop)


def test_members_that_have_seen_everything_cannot_be_watched():
    keys, rows = jax.random.split(KEY, 2), jnp.tile(jnp.arange(20)[None], (2, 1))
    with pytest.raises(InputError, match="events that a member does not see"):
        fit_members(keys, _moving(1.0), X, rows, config=MOVING, stop=Stopping())


@pytest.mark.parametrize("change", [{"schedule": "linear"}, {"warm_up": -1}, {"average": 1.0}])
def test_configs_without_sense_are_refused(change):
    with pytest.raises(InputError, match="FitConfig"):
        fit(KEY, _moving(1.0), X, config=MOVING._replace(**change))
