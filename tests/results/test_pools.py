"""Members, their pool and forecasts in words."""

import numpy as np
import pytest

from amplify.estimators.forecast import Apart, bracketed
from amplify.estimators.pool import pool_amplification
from amplify.results.pools import (
    EACH,
    POOL,
    each_verdict,
    forecast_record,
    pool_record,
    said_of_members,
)

RNG = np.random.default_rng(0)
MEMBERS = 0.2 + 0.01 * RNG.normal(size=(8, 3))
SAME = 0.2 + 0.003 * RNG.normal(size=(4, 3))
LEVELS = {"level": 0.68, "limit_level": 0.95}


def _pool(integral=MEMBERS, same_data=None, of="bootstrap"):
    pool = pool_amplification(integral, n_train=1000, same_data=same_data, of=of, **LEVELS)
    labels = [f"region {r}" for r in range(integral.shape[1])]
    same = None if same_data is None else len(same_data)
    return pool_record(
        pool,
        labels,
        members=len(integral),
        same_data_members=same,
        of=of,
        n_train=1000,
        **LEVELS,
    )


def test_a_pool_is_a_limit_or_a_value():
    limit = _pool()
    assert "of the 8 members, which" in limit["verdict"] and "like more than" in limit["verdict"]
    assert all(row["amplification"] is None for row in limit["regions"])
    value = _pool(same_data=SAME, of="same data")
    assert "of the 4 members of the same data" in value["verdict"] and "G = " in value["verdict"]
    nothing = _pool(np.array([[0.001], [0.002]]))
    assert "no region is resolved" in nothing["verdict"]


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (("bootstrap", "same_data"), "bound it from below, members of the same data from above"),
        (("bootstrap",), "or somewhat more"),
        (("same_data",), "fewer than"),
    ],
)
def test_forecasts_say_which_end_they_know(kinds, words):
    found = {"bootstrap": Apart(np.full(4, 0.15), np.full(4, 0.01))}
    found["same_data"] = Apart(np.full(4, 0.05), np.full(4, 0.01))
    found = {kind: found[kind] for kind in kinds}
    given = {"n_train": 1000, "members": dict.fromkeys(kinds, 4)}
    given |= {"distances": {kind: found[kind].distance.tolist() for kind in kinds}}
    record = forecast_record(bracketed(**found, n_train=1000), **given, **LEVELS)
    assert record["verdict"].startswith("Forecast without holdout") and words in record["verdict"]
    low, high = record["n_equiv_interval"]
    assert (high is None) == ("same_data" not in kinds) and (low == 0) == ("bootstrap" not in kinds)

    limits = dict.fromkeys(kinds, 300.0)
    learned = forecast_record(
        bracketed(**found, n_train=1000), learned_limit=limits, **given, **LEVELS
    )
    assert "fewer than 300 (G < 0.3)" in learned["verdict"]
    assert learned["n_equiv_interval"] == [0.0, 300.0 if "same_data" in kinds else None]
    unseen = forecast_record(
        bracketed(**found, n_train=1000), learned_limit=dict.fromkeys(kinds), **given, **LEVELS
    )
    assert "cannot be told apart" in unseen["verdict"] and "worth" not in unseen["verdict"]


def test_members_one_by_one():
    row = {"status": "upper_limit", "n_equiv": None, "n_equiv_interval": [0.0, 90.0]}
    unseen = {"status": "unresolved", "n_equiv": None, "n_equiv_interval": [0.0, None]}
    said = each_verdict({"members": [row, row, unseen]})
    assert "fewer than 90 true events" in said and "1 are not told from truth" in said
    assert "none of them" in each_verdict({"members": [unseen]})
    views = {EACH: {"verdict": "a"}, POOL: {"verdict": "b"}, "other": 3}
    assert said_of_members(views) == ["b", "a"] and said_of_members({}) == []
