"""Pools, members one by one, and forecasts without a holdout, from ensembles, arrays and files."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import amplify
from amplify.cli import main
from amplify.errors import InputError, NeedsMembersError
from amplify.generators.fitted_gaussian import fitted_gaussian, maximum_likelihood
from amplify.results.pools import EACH, FORECAST, POOL
from amplify.training.trained import Ensemble

N_TRAIN, KEY = 400, jax.random.key(0)
RNG = np.random.default_rng(0)
TRAIN = RNG.normal(size=(N_TRAIN, 2))
HOLDOUT = RNG.normal(size=(4000, 2))


def _ensemble(rows, jitter=0.0):
    """Fitted Gaussians; `jitter` is what training leaves to chance, in errors of the mean."""
    params = jax.vmap(lambda r: maximum_likelihood(jnp.asarray(TRAIN, jnp.float32)[r]))(rows)
    moved = jitter / np.sqrt(N_TRAIN) * RNG.normal(size=params.mean.shape)
    params = params._replace(mean=params.mean + moved)
    count = len(rows)
    return Ensemble(params, jnp.zeros((count, 1)), jnp.full(count, -1), fitted_gaussian(2))


BOOTSTRAPS = _ensemble(RNG.integers(0, N_TRAIN, (8, N_TRAIN)))
SAME = _ensemble(np.tile(np.arange(N_TRAIN), (4, 1)), jitter=0.3)
SHELLS = amplify.regions.equiprobable(HOLDOUT, amplify.regions.radius, 4)


@pytest.fixture(scope="module")
def events():
    return [np.asarray(e.sample(KEY, 8000).x) for e in (BOOTSTRAPS, SAME)]


def test_the_pool_is_a_limit_and_with_same_data_members_a_value(events):
    alone = amplify.averaging(list(events[0]), n_train=N_TRAIN, bins=4)
    rows = alone.views[POOL]["regions"]
    assert [r["region"] for r in rows] == list(alone.labels)
    assert {r["status"] for r in rows} <= {"lower_limit", "unresolved"}
    for row, record in zip(rows, alone.records, strict=True):
        low = record["amplification_bounds"][0]
        assert row["amplification_interval"][0] == pytest.approx(low * 8 / 9, rel=1e-6)
    assert "The pool of the 8 members" in str(alone) and "more than" in alone.views[POOL]["verdict"]

    both = amplify.averaging(list(events[0]), n_train=N_TRAIN, bins=4, same_data=list(events[1]))
    assert both.records == alone.records  # the members are what they were
    assert any(r["status"] == "resolved" for r in both.views[POOL]["regions"])
    assert both.settings["same_data"] == ["array [8000, 2]"] * 4
    stored = amplify.Result.from_json(json.loads(both.to_json()))
    assert stored.views[POOL]["regions"][0]["region"] == both.labels[0]


def test_an_ensemble_gives_a_bracket(events):
    """In closed form G of a member is 4.74 / 4 parameters, give or take one training set's luck:
    the bracket, with same-data members that hardly differ, holds it.
    """
    forecast = amplify.forecast_without_holdout(
        BOOTSTRAPS, n_train=N_TRAIN, same_data=SAME, key=KEY
    )
    low, high = forecast.n_equiv_interval
    assert low < 4.74 / 4 * N_TRAIN < high and low > 0.1 * N_TRAIN
    assert "Forecast without holdout" in str(forecast) and "bound it from" in forecast.verdict

    counted = amplify.averaging(
        BOOTSTRAPS, SHELLS, n_train=N_TRAIN, n_gen=8192, key=KEY, same_data=SAME, forecast=True
    )
    assert counted.views[FORECAST]["from"] == "log densities"
    assert len(counted.views[POOL]["regions"]) == 4
    drawn = amplify.averaging(
        BOOTSTRAPS, bins=4, n_train=N_TRAIN, n_gen=8192, key=KEY, same_data=SAME, forecast=True
    )
    assert drawn.views[FORECAST] == counted.views[FORECAST]
    one = amplify.forecast_without_holdout(BOOTSTRAPS, n_train=N_TRAIN, key=KEY)
    assert one.n_equiv_interval[1] == np.inf and "somewhat more" in one.verdict
    upper = amplify.forecast_without_holdout(same_data=SAME, n_train=N_TRAIN, key=KEY)
    assert upper.n_equiv_interval[0] == 0 and "fewer than" in upper.verdict


def test_events_alone_give_an_upper_limit(events):
    """A learned distance is at most the exact one: the limit is above what densities say; wrong
    once in twenty.
    """
    exact = amplify.forecast_without_holdout(BOOTSTRAPS, n_train=N_TRAIN, key=KEY)
    learned = amplify.forecast_without_holdout(list(events[0]), n_train=N_TRAIN)
    limit = learned.record["bootstrap"]["n_equiv_interval"][1]
    assert learned.record["from"] == "a learned ratio" and "no lower end" in learned.verdict
    assert limit is None or limit > 0.8 * exact.record["bootstrap"]["n_equiv"]
    assert learned.n_equiv_interval[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("how", ["bootstrap", "same-data"])
def test_differential_judges_members_and_their_pool(events, how, tmp_path):
    members = events[0] if how == "bootstrap" else events[1]
    paths = []
    for m, x in enumerate(members[:3]):
        paths.append(str(tmp_path / f"gen_{m}.npy"))
        np.save(paths[-1], x)
    np.save(tmp_path / "holdout.npy", HOLDOUT)
    options = ["--n-train", str(N_TRAIN), "--out", str(tmp_path / "run"), "--members", how]
    holdout = ["--holdout", str(tmp_path / "holdout.npy")]
    main(["differential", "--generated", *paths, *holdout, *options])
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["estimates"][0]["n_gen"] == 24_000  # the pool
    each = results[EACH]["members"]
    assert [row["member"] for row in each] == [0, 1, 2] and each[0]["n_gen"] == 8000
    kind = "bootstrap" if how == "bootstrap" else "same_data"
    assert results[FORECAST][kind]["members"] == 3
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Members and their pool" in page and "Each member by itself" in page

    arrays = amplify.differential(list(members[:3]), HOLDOUT, n_train=N_TRAIN, members=how)
    assert arrays.views[EACH]["members"][1]["n_gen"] == 8000
    # the rows that teach are spread over the pool, the order of members is that of the files
    assert arrays.views[EACH]["members"] == each


def test_nonsense_is_refused(events):
    members = list(events[0])
    with pytest.raises(NeedsMembersError, match="one kind"):
        amplify.forecast_without_holdout(n_train=10)
    with pytest.raises(InputError, match="key"):
        amplify.forecast_without_holdout(BOOTSTRAPS, n_train=10)
    with pytest.raises(InputError, match="at least 2"):
        amplify.differential(members[:1], HOLDOUT, n_train=10, members="bootstrap")
    with pytest.raises(InputError, match="same kind"):
        amplify.averaging(members, n_train=10, same_data=SAME)
    with pytest.raises(NeedsMembersError, match="same-data"):
        amplify.averaging(members, n_train=10, same_data=members[:1])
