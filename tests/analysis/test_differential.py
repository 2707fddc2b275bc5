"""amplify.differential: files, arrays and learners of one's own go the same way."""

import numpy as np
import pytest

import amplify
from amplify.errors import AmplifyError, InputError
from amplify.types import Events

RNG = np.random.default_rng(0)
GENERATED, HOLDOUT = RNG.normal(0.3, 1, (30_000, 2)), RNG.normal(0, 1, (3000, 2))
TRAIN = RNG.normal(0, 1, (2000, 2))
N_EQUIV = 26.6  # of N((.3, .3), 1) against N(0, 1) in two dimensions


def linear(x_gen, x_true, weight_gen=None, weight_true=None):
    """A learner: the exact ratio, which needs no events."""
    return lambda x: 0.3 * x.sum(axis=1) - 0.09


def log_prob(x):
    """Of the generator, up to a constant."""
    return -0.5 * ((np.asarray(x) - 0.3) ** 2).sum(axis=1)


def test_arrays_equal_files(tmp_path):
    for name, x in (("gen", GENERATED), ("holdout", HOLDOUT), ("train", TRAIN)):
        np.save(tmp_path / f"{name}.npy", x)
    settings = {"n_train": 2000, "summary": "column:x0", "bins": 3}
    from_files = amplify.differential(
        tmp_path / "gen.npy",
        str(tmp_path / "holdout.npy"),
        train=tmp_path / "train.npy",
        **settings,
    )
    from_arrays = amplify.differential(GENERATED, HOLDOUT, train=TRAIN, **settings)
    assert from_files.to_dict()["estimates"] == from_arrays.to_dict()["estimates"]
    assert from_files.to_dict()["differential"] == from_arrays.to_dict()["differential"]
    assert [i["path"] for i in from_arrays.inputs] == ["generated", "holdout", "training events"]


def test_a_learner_of_ones_own():
    """One split, so the claim at 95 % may be wrong in 5 %; the seed is fixed."""
    result = amplify.differential(GENERATED, HOLDOUT, n_train=1000, summary=linear)
    record = result["all"]
    assert record["status"] == "upper_limit" and record["summary"].startswith("learned")
    assert N_EQUIV < record["n_equiv_interval"][1] < 2 * N_EQUIV
    assert result.limit_level == 0.95 and result.settings["summary"] == "a learner of one's own"


def test_a_log_density_is_one_feature_more():
    """The same limit as with the density as a column; false-alarm rate as above."""
    columns = {"x0": 0, "x1": 1}
    by_function = amplify.differential(GENERATED, HOLDOUT, n_train=1000, log_prob=log_prob)
    with_column = [np.column_stack([x, log_prob(x)]) for x in (GENERATED, HOLDOUT)]
    by_column = amplify.differential(
        *with_column, n_train=1000, columns=list(columns), log_prob_column="x2"
    )
    limits = [r["all"]["n_equiv_interval"][1] for r in (by_function, by_column)]
    assert limits[0] == pytest.approx(limits[1], rel=1e-6) and limits[0] > N_EQUIV
    assert not any("--log-prob-column" in w for w in by_function.warnings)


def test_regions_of_ones_own():
    right = amplify.regions.condition("x0 > 0", ["x0", "x1"], label="right")
    result = amplify.differential(
        GENERATED, HOLDOUT, regions=right, n_train=1000, summary="column:x0"
    )
    assert result.labels == ("all", "right")
    share = (HOLDOUT[:, 0] > 0).mean()
    assert result["right"]["n_train_region"] == pytest.approx(1000 * share)


def test_a_holdout_that_was_generated_is_refused():
    both = np.concatenate([HOLDOUT, GENERATED])
    with pytest.raises(InputError, match="3000 events of holdout that are in generated"):
        amplify.differential(both, HOLDOUT, n_train=1000, summary="column:x0")
    with pytest.raises(InputError, match="events of training events in holdout"):
        amplify.differential(
            GENERATED, HOLDOUT, n_train=1000, summary="column:x0", train=np.r_[TRAIN, HOLDOUT]
        )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_train": 0}, "--n-train"),
        ({"summary": "forest"}, "--summary"),
        ({"summary": "column:pt"}, "x0, x1"),
        ({"fraction": 1.0}, "--fraction"),
        ({"level": 0.0}, "--level"),
        ({"limit_level": 0.4}, "--limit-level"),
        ({"summary": "column:x0", "cross_fit": True}, "--cross-fit"),
        ({"map": ("x0", "x0")}, "two different columns"),
    ],
)
def test_errors_are_one_line(settings, words):
    with pytest.raises(AmplifyError, match=words) as raised:
        amplify.differential(GENERATED, HOLDOUT, **{"n_train": 100} | settings)
    assert "\n" not in str(raised.value)


def test_shapes_that_differ_are_said():
    with pytest.raises(InputError, match="the columns of generated, x0, x1, got x0;"):
        amplify.differential(GENERATED, HOLDOUT[:, :1], n_train=100)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_holdout_that_streams_is_within_what_is_said(monkeypatch, weighted):
    """All of it is tested in chunks, of which sketches are made; the exact distance, from all of it
    in memory, is within the error that is said, and the interval is wider by it.
    """
    monkeypatch.setattr("amplify.tables.reading.CHUNK", 200)
    weight = np.random.default_rng(0).uniform(0.5, 1.5, len(HOLDOUT)) if weighted else None
    holdout = Events(HOLDOUT, weight)
    settings = {"n_train": 1000, "summary": "column:x0"}
    exact = amplify.differential(GENERATED, holdout, **settings)
    found = amplify.differential(GENERATED, holdout, approximate=0.01, **settings)
    said = found.to_dict()["approximation"]
    assert said["holdout_events"] == found["all"]["n_holdout"] == len(HOLDOUT)
    for label, error, values in zip(
        found.labels, said["distance_error"], said["values"], strict=True
    ):
        assert 0 < error <= 0.01 and values < len(HOLDOUT) / 2
        assert found[label]["n_holdout_region"] == pytest.approx(exact[label]["n_holdout_region"])
        (low, high), (least, most) = (r[label]["distance_interval"] for r in (exact, found))
        assert max(low - 2 * error, 0) <= least <= low
        assert high <= most <= high + 2 * error
    assert any("values stand for the" in words for words in found.warnings)


def test_a_holdout_that_streams_is_counted_at_a_threshold():
    """Without an error: a column that is a ratio gives the same answer, and a learned one a claim
    from events that did not teach.
    """
    settings = {"n_train": 1000, "summary": "ratio:x1"}
    exact = amplify.differential(GENERATED, HOLDOUT, **settings)
    found = amplify.differential(GENERATED, HOLDOUT, approximate=1e-3, **settings)
    assert found["all"] == exact["all"]
    learned = amplify.differential(GENERATED, HOLDOUT, n_train=1000, approximate=1e-3)
    tested = learned.to_dict()["approximation"]["holdout_events"]
    taught = 64 * (len(HOLDOUT) // 3 // 64)  # in 64 blocks of the file
    assert tested == learned["all"]["n_holdout_region"] == len(HOLDOUT) - taught
    with pytest.raises(InputError, match="--approximate and --cross-fit"):
        amplify.differential(GENERATED, HOLDOUT, n_train=9, approximate=1e-3, cross_fit=True)
