"""Which columns the analyses look at where none are named, and the precision they are compared
in.
"""

import numpy as np
import pytest

import amplify
from amplify.errors import InputError
from amplify.regions import bins, column

RNG = np.random.default_rng(3)


def _sample(n, shift=0.0, **more):
    columns = {"pt": RNG.normal(shift, 1, n), "eta": RNG.normal(size=n)} | more
    table = np.empty(n, [(name, np.asarray(values).dtype) for name, values in columns.items()])
    for name, values in columns.items():
        table[name] = values
    return table


def _differential(generated, holdout, **more):
    return amplify.differential(generated, holdout, n_train=1000, summary="column:pt", **more)


def test_samples_are_compared_on_what_is_physics():
    """A row number in one sample, event numbers in both, weights in the other: the answer is that
    without them.
    """
    generated, holdout = _sample(20_000, 0.1), _sample(2000)
    plain = _differential(generated, holdout)
    fields = ["pt", "eta"]
    more = {"row": np.arange(20_000), "event": RNG.integers(0, 10**9, 20_000)}
    messy = _sample(20_000, **more)
    weighted = _sample(2000, event=np.arange(2000), genWeight=RNG.choice([1.0, 1.0, -1.0], 2000))
    for name in fields:
        messy[name], weighted[name] = generated[name], holdout[name]
    result = _differential(messy, weighted)
    assert result.records == plain.records
    assert result.settings["columns"] == fields
    assert result.settings["columns_ignored"] == {
        "row": "event number",
        "event": "event number",
        "genWeight": "weight by its name",
    }
    assert [w for w in result.warnings if "row" in w or "event n" in w] == []
    (note,) = [w for w in result.warnings if "genWeight" in w]
    assert "--weight-column genWeight" in note
    named = _differential(messy, weighted, columns=["pt", "eta", "event"])
    assert named.settings["columns"] == ["pt", "eta", "event"]
    assert named.settings["columns_ignored"] == {}
    weights = _differential(generated, weighted, weight_column="genWeight")
    assert not any("looks like" in warning for warning in weights.warnings)


def test_members_and_holdout_are_compared_on_what_is_physics():
    members = [_sample(3000, 0.1 * RNG.normal()) for _ in range(8)]
    plain = amplify.averaging(members, n_train=300)
    messy = [_sample(3000, number=np.arange(3000)) for _ in range(8)]
    for clean, other in zip(members, messy, strict=True):
        other["pt"], other["eta"] = clean["pt"], clean["eta"]
    result = amplify.averaging(messy, n_train=300)
    assert result.records == plain.records
    assert result.settings["columns_ignored"] == {"number": "row number"}
    assert plain.settings["columns_ignored"] == {}
    with_holdout = amplify.averaging(messy, n_train=300, holdout=_sample(3000))
    assert with_holdout.settings["columns"] == ["pt", "eta"]


def test_nothing_left_is_one_line():
    rows = np.arange(1000.0)[:, None]
    for call in (
        lambda: amplify.differential(rows, rows + 0.5, n_train=10),
        lambda: amplify.averaging([rows, rows + 5], n_train=10),
    ):
        with pytest.raises(InputError, match=r"none but x0 \(row number\); name them") as raised:
            call()
        assert "\n" not in str(raised.value)


def test_regions_that_go_by_place_keep_every_column():
    members = [np.column_stack([np.arange(500.0), RNG.normal(size=500)]) for _ in range(3)]
    right = bins(column(1), [0, np.inf], "x1")
    result = amplify.averaging(members, right, n_train=100)
    assert result.labels == ("x1 >= 0",)
    assert 0.4 < result.estimate.integral[0] < 0.6
    assert sum("x0 (row number)" in warning for warning in result.warnings) == 1


def test_an_offset_changes_nothing():
    """N(.5, 1) against N(0, 1), both moved by 2^30: values keep 22 bits behind the point, ten
    more than their rounding here, so that the numbers are the same to the last bit.
    """
    x, y = RNG.normal(0.5, 1, (40_000, 1)), RNG.normal(size=(4000, 1))
    x, y = (np.round(sample * 2**12) / 2**12 for sample in (x, y))
    far = 2.0**30
    for bare, moved in (((x, y), (x + far, y + far)),):
        plain, offset = (
            amplify.differential(*samples, n_train=1000, summary="column:x0")
            for samples in (bare, moved)
        )
        assert offset.records[0] == plain.records[0]
        assert plain.estimate.distance.value[0] == pytest.approx(0.1974, abs=0.03)  # erf(.5 / 8^.5)
    members = [x[k::8] for k in range(8)]
    plain, offset = (
        amplify.averaging([m + by for m in members], n_train=500, holdout=y + by)
        for by in (0.0, far)
    )
    np.testing.assert_array_equal(offset.estimate.integral, plain.estimate.integral)
    assert len(set(offset.labels)) == len(offset.labels) and offset.warnings == plain.warnings


def test_a_shift_far_from_zero_is_seen():
    """t = 1.7e9 +- 20 shifted by 20: D = 2 Phi(.5) - 1 = .3829, within 4 standard errors (.5 /
    n^.5 at most) in one of 15000 trials; no word of copies.
    """
    generated = 1.7e9 + RNG.normal(20, 20, (80_000, 1))
    holdout = 1.7e9 + RNG.normal(0, 20, (20_000, 1))
    result = amplify.differential(generated, holdout, n_train=1000, summary="column:x0")
    assert result.estimate.distance.value[0] == pytest.approx(0.3829, abs=0.016)
    assert not any("copy" in warning for warning in result.warnings)


def test_single_precision_that_resolves_nothing_is_told():
    holdout = 1.7e9 + RNG.normal(0, 20, (2000, 1))
    generated = (1.7e9 + RNG.normal(20, 20, (20_000, 1))).astype(np.float32)
    result = amplify.differential(generated, holdout, n_train=1000, summary="column:x0")
    (note,) = [w for w in result.warnings if "precision" in w]
    assert "generated" in note and "single" in note and "offset" in note
    fine = RNG.normal(100, 20, (20_000, 1)).astype(np.float32)
    result = amplify.differential(
        fine, RNG.normal(100, 20, (2000, 1)), n_train=1000, summary="column:x0"
    )
    assert not any("precision" in warning for warning in result.warnings)


def test_mixed_precision_is_rounded_alike():
    """Values that recur at an edge: in single precision .7 is less than .7."""
    values = np.array([0.1, 0.4, 0.7])
    generated = RNG.choice(values, (20_000, 1)).astype(np.float32)
    holdout = RNG.choice(values, (2000, 1))
    result = amplify.differential(generated, holdout, n_train=1000, summary="column:x0")
    # 4 standard errors of a fraction of 2000
    assert result.estimate.distance.value[0] < 4 * np.sqrt(2 / 9 / 2000)


def test_a_column_of_one_value_has_no_precision_to_warn_about():
    generated, holdout = np.full((20_000, 1), 1e-3), np.zeros((2000, 1))
    result = amplify.differential(generated, holdout, n_train=1000, summary="column:x0")
    assert result.warnings == ()
