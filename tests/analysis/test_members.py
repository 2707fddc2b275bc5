"""Members that are not what they should be: each fault has a warning of its own, and good members
have none.
"""

import jax
import numpy as np
import pytest

import amplify
from amplify.errors import InputError

N_TRAIN, N_GEN = 500, 5000


def _trained(rng, members=8, dim=2, same=False):
    """Fitted Gaussians of bootstrap samples, or of the same events with a tenth of their spread."""
    x = rng.normal(size=(N_TRAIN, dim))
    samples = []
    for _ in range(members):
        rows = rng.integers(0, N_TRAIN, N_TRAIN)
        mean, width = x[rows].mean(axis=0), x[rows].std(axis=0)
        if same:
            mean, width = (a + 0.1 * (b - a) for a, b in ((x.mean(0), mean), (x.std(0), width)))
        samples.append(rng.normal(mean, width, (N_GEN, dim)))
    return x, samples


def _warnings(members, **more):
    return amplify.averaging(members, n_train=N_TRAIN, **more).warnings


def test_good_members_have_no_warning():
    """Each of the tests behind it gives a false alarm in at most .01 of such ensembles."""
    rng = np.random.default_rng(0)
    train, members = _trained(rng)
    assert _warnings(members) == ()
    assert _warnings(members, holdout=rng.normal(size=(5000, 2)), train=train) == ()
    assert _warnings(members, train=train) == ()


@pytest.mark.parametrize("share", [0.02, 0.9])
@pytest.mark.parametrize("shuffled", [False, True])
def test_events_that_members_share_are_told(share, shuffled):
    rng = np.random.default_rng(1)
    _, members = _trained(rng)
    common = int(share * N_GEN)
    members[5][:common] = members[3][:common]
    if shuffled:
        members[5] = rng.permutation(members[5])
    (note,) = _warnings(members)
    assert f"{share:.0%}".replace("%", " %") in note and "member 3" in note and "member 5" in note


def test_two_members_that_are_one_sample_are_told():
    """However far apart they are in the list."""
    rng = np.random.default_rng(2)
    _, members = _trained(rng, members=12)
    members[11] = members[2].copy()
    (note,) = _warnings(members)
    assert "member 2" in note and "member 11" in note and "same sample" in note


def test_integers_that_recur_are_no_shared_events():
    rng = np.random.default_rng(3)
    members = [rng.poisson(4 + 0.1 * rng.normal(), (N_GEN, 1)) for _ in range(8)]
    assert not any("share" in w or "same sample" in w for w in _warnings(members))


@pytest.mark.parametrize("shift", [0.0, 1e9])
def test_columns_that_are_the_same_count_once(shift):
    rng = np.random.default_rng(4)
    _, members = _trained(rng)
    members = [m + shift for m in members]
    doubled = [np.column_stack([m, m[:, 0]]) for m in members]
    plain = amplify.averaging(members, n_train=N_TRAIN)
    result = amplify.averaging(doubled, n_train=N_TRAIN)
    assert result.labels == plain.labels and result.records == plain.records
    (note,) = result.warnings
    assert "x0 and x2" in note and "left out" in note
    assert result.settings["columns_ignored"] == {"x2": "the same as x0"}
    named = amplify.averaging(doubled, n_train=N_TRAIN, columns=["x0", "x1", "x2"])
    assert len(named.labels) > len(plain.labels)
    assert any("x0 and x2" in warning and "twice" in warning for warning in named.warnings)


@pytest.mark.parametrize("share", [0.05, 1.0])
def test_training_events_among_the_generated_ones_are_told(share):
    rng = np.random.default_rng(5)
    train, members = _trained(rng)
    common = int(share * N_GEN)
    members[4][:common] = train[rng.integers(0, N_TRAIN, common)]
    members[4] = rng.permutation(members[4])
    notes = [w for w in _warnings(members, train=train) if "are training events" in w]
    assert len(notes) == 1 and "member 4" in notes[0] and f"{100 * share:.0f} %" in notes[0]


def test_a_generator_that_repeats_its_events_is_told():
    rng = np.random.default_rng(10)
    train, members = _trained(rng)
    members[4] = train[rng.integers(0, N_TRAIN, N_GEN)]
    (note,) = _warnings(members)
    assert "100 % of the events of member 4 have a copy" in note


def test_a_holdout_of_used_events_is_refused():
    rng = np.random.default_rng(6)
    train, members = _trained(rng)
    holdout = rng.normal(size=(2000, 2))
    trained_on, generated = holdout.copy(), holdout.copy()
    trained_on[:100] = train[:100]
    generated[:100] = members[7][:100]
    with pytest.raises(InputError, match="100 events of training events in holdout"):
        _warnings(members, holdout=trained_on, train=train)
    with pytest.raises(InputError, match="100 events of holdout that are in member 7"):
        _warnings(members, holdout=generated)


def test_members_of_the_same_training_events_are_told():
    rng = np.random.default_rng(7)
    _, members = _trained(rng, same=True)
    (note,) = _warnings(members)
    assert "trained on the same events" in note and "scatter less" in note


def test_a_common_bias_is_told_by_the_holdout_and_by_the_training_events():
    """All members are too wide, by a fifth and a half: the training events have an error of their
    own, which the members do not show.
    """
    rng = np.random.default_rng(8)
    train, members = _trained(rng)
    biased = [1.2 * m for m in members]
    notes = _warnings(biased, holdout=rng.normal(size=(5000, 2)))
    assert sum("than with the holdout" in note for note in notes) == 1
    notes = _warnings([1.5 * m for m in members], train=train)
    assert sum("than with their training events" in note for note in notes) == 1


def test_training_events_have_a_place_in_the_results():
    rng = np.random.default_rng(9)
    train, members = _trained(rng, members=3)
    result = amplify.averaging(members, n_train=N_TRAIN, train=train)
    assert result.settings["train"] == f"array [{N_TRAIN}, 2]"
    assert [sample["events"] for sample in result.inputs] == [N_GEN] * 3 + [N_TRAIN]


@pytest.mark.slow
def test_an_ensemble_of_the_same_events_is_told_and_one_of_bootstraps_is_not():
    """A Gaussian that is fitted in closed form would not scatter at all on the same events; Adam
    leaves a little.
    """
    x = np.random.default_rng(10).normal(size=(N_TRAIN, 2))
    for resample, told in (("none", 1), ("bootstrap", 0)):
        ensemble = amplify.fit_ensemble(
            jax.random.key(1),
            amplify.fitted_gaussian(2),
            x,
            members=8,
            resample=resample,
            config=amplify.FitConfig(steps=300),
        )
        result = amplify.averaging(ensemble, n_train=N_TRAIN, n_gen=N_GEN, key=jax.random.key(2))
        assert sum("scatter less" in warning for warning in result.warnings) == told
