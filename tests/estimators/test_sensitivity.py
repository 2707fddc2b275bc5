"""Sensitivities: by hand from the definition, and the same from learners that prepare the generated
events.
"""

import numpy as np
import pytest

from amplify.estimators.learned import cross_fit
from amplify.estimators.sensitivity import sensitivities
from amplify.summaries.default import learned_ratio
from amplify.types import Events

N, THIRD, N_TEACH, DISTANCE = 3000, 1000, 100, 0.1
WEIGHTS = {
    "none": None,
    "positive": np.random.default_rng(1).uniform(0.5, 1.5, N),
    "signed": np.where(np.random.default_rng(2).random(N) < 0.2, -1.0, 1.0),
}


def _events(weight):
    return Events(np.random.default_rng(0).normal(size=(N, 2)), weight)


def _first_column(x_gen, x_true, weight_gen=None, weight_true=None):
    return lambda x: x[:, 0] - x_true[:, 0].mean()


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
def test_one_tilt_by_hand(weight):
    """A smooth distortion, 1 + epsilon tanh of a random direction: the weighted sums of the last
    third written out.
    """
    generated = _events(weight)
    smooth, *_ = sensitivities(
        _first_column, generated, n_teach=N_TEACH, distance=DISTANCE, repetitions=1, seed=5
    )
    x, w = generated.x, np.ones(N) if weight is None else weight
    rng = np.random.default_rng([5, 0])
    direction = rng.normal(size=2)
    h = np.tanh((x - x.mean(axis=0)) / x.std(axis=0) @ direction / np.linalg.norm(direction))
    h -= h.mean()
    ratio = 1 + DISTANCE / (0.5 * np.abs(h).mean()) * h
    chance = ratio[THIRD : 2 * THIRD] * np.maximum(w[THIRD : 2 * THIRD], 0)
    drawn = rng.choice(THIRD, N_TEACH, p=chance / chance.sum())
    low = x[2 * THIRD :, 0] <= x[THIRD : 2 * THIRD][drawn][:, 0].mean()
    w, ratio = w[2 * THIRD :], ratio[2 * THIRD :]
    true, everything = np.sum(w * ratio), np.sum(w)
    learned = np.sum((w * ratio)[low]) / true - np.sum(w[low]) / everything
    full = 0.5 * np.average(np.abs(ratio * everything / true - 1), weights=np.abs(w))
    assert smooth.distance == pytest.approx(full) and np.isnan(smooth.error)
    assert smooth.efficiency == pytest.approx(learned / full)


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
def test_preparing_the_generated_events_changes_nothing(weight):
    """Bit for bit, for sensitivities and cross-fits."""
    generated, two_steps = _events(weight), learned_ratio()
    calls = []

    def one_step(*events):
        calls.append(len(events[1]))
        return two_steps(*events)

    prepared, plain = (
        sensitivities(learn, generated, n_teach=N_TEACH, distance=DISTANCE, repetitions=2)
        for learn in (two_steps, one_step)
    )
    assert prepared == plain and calls == [N_TEACH] * 6
    holdout = Events(np.random.default_rng(3).normal(size=(200, 2)))
    prepared, plain = (
        cross_fit(learn, generated, holdout, null_experiments=1) for learn in (two_steps, one_step)
    )
    assert prepared.distance == plain.distance and prepared.null.tolist() == plain.null.tolist()
