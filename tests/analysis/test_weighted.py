"""A weighted holdout beside members without weights, members of both kinds, and what n_train means
for weighted training events.
"""

from collections import defaultdict

import numpy as np
import pytest

import amplify
from amplify.errors import InputError

RNG = np.random.default_rng(3)
N_TRAIN = 2000
POSITIVE, NEGATIVE, NARROW = 1.25, 0.25, 0.5  # 1.25 N(0, 1) - .25 N(0, .5): positive everywhere


def subtracted(n):
    """Events of the density that mixed signs make, by rejection, and ones of N(0, 1) to N(0, .5)
    with signs that make it.
    """
    x = RNG.normal(size=3 * n)
    ratio = POSITIVE - NEGATIVE / NARROW * np.exp(-(x**2) / 2 * (1 / NARROW**2 - 1))
    return x[RNG.random(3 * n) < ratio / POSITIVE][:n, None]


def signed(n):
    """The same density from events with weights +1 and -1."""
    minus = RNG.random(n) < NEGATIVE / (POSITIVE + NEGATIVE)
    x = RNG.normal(size=n) * np.where(minus, NARROW, 1.0)
    return amplify.Events(x[:, None], np.where(minus, -1.0, 1.0))


MEMBERS = [subtracted(10_000) + 0.02 * RNG.normal() for _ in range(8)]
HOLDOUT = signed(8000)


def test_a_holdout_of_mixed_signs_beside_unweighted_members():
    edges = [-np.inf, -1, 0, 1, np.inf]
    regions = amplify.regions.bins(amplify.regions.column(0), edges, "x")
    result = amplify.averaging(MEMBERS, regions, n_train=N_TRAIN, holdout=HOLDOUT)
    w, inside = HOLDOUT.weight, regions.contains(HOLDOUT.x)
    share = w @ inside / w.sum()
    variance = (w**2) @ (inside - share) ** 2 / w.sum() ** 2
    integral = np.array([regions.contains(x).mean(axis=0) for x in MEMBERS])
    expected = amplify.averaging_amplification(
        integral,
        n_train=N_TRAIN,
        n_gen=10_000,
        holdout=amplify.Holdout(share, share * (1 - share) / variance),
    )
    np.testing.assert_allclose(result.estimate.pull, expected.pull, rtol=1e-9)
    np.testing.assert_allclose(result.estimate.factor.value, expected.factor.value, rtol=1e-9)


def test_mixed_signs_are_no_bias_and_leaving_them_out_is():
    """Both share one density, so that a mark is a false alarm: below .6 % in each of 12 regions."""
    result = amplify.averaging(MEMBERS, n_train=N_TRAIN, holdout=HOLDOUT)
    assert sum(r["status"] == "biased" for r in result.records) <= 1
    unsigned = amplify.averaging(MEMBERS, n_train=N_TRAIN, holdout=HOLDOUT.x)
    assert np.abs(unsigned.estimate.pull).max() > np.abs(result.estimate.pull).max()


def test_files_go_the_same_way(tmp_path):
    for m, x in enumerate(MEMBERS):
        np.savez(tmp_path / f"m{m}.npz", pt=x[:, 0])
    np.savez(tmp_path / "h.npz", pt=HOLDOUT.x[:, 0], genWeight=HOLDOUT.weight)
    members = [str(tmp_path / f"m{m}.npz") for m in range(8)]
    of_files = amplify.averaging(
        members, n_train=N_TRAIN, holdout=str(tmp_path / "h.npz"), weight_column="genWeight"
    )
    of_arrays = amplify.averaging(MEMBERS, n_train=N_TRAIN, holdout=HOLDOUT)
    for field in ("pull", "integral", "status"):
        np.testing.assert_array_equal(
            getattr(of_files.estimate, field), getattr(of_arrays.estimate, field)
        )
    assert any("7 more have no weight column genWeight" in w for w in of_files.warnings)
    assert [i["weighted"] for i in of_files.inputs] == [False] * 8 + [True]
    with pytest.raises(InputError, match="no such column in any sample"):
        amplify.averaging(members, n_train=N_TRAIN, weight_column="genWieght")


def test_members_with_and_without_weights():
    """Weights of one are no weights."""
    ones = [amplify.Events(x, np.ones(len(x))) if m % 2 else x for m, x in enumerate(MEMBERS)]
    expected = amplify.averaging(MEMBERS, n_train=N_TRAIN)
    for mixed in (ones, ones[::-1]):
        result = amplify.averaging(mixed, n_train=N_TRAIN)
        np.testing.assert_allclose(
            result.estimate.factor.value, expected.estimate.factor.value, rtol=1e-6
        )
        assert any("no weight column weight" in warning for warning in result.warnings)


def test_what_n_train_means_is_said():
    """Weights of +1 and -1, a sixth of them negative, have (sum w)^2 / sum w^2 = (2/3)^2 n."""
    train = signed(N_TRAIN)
    effective = train.weight.sum() ** 2 / N_TRAIN
    given = {"holdout": HOLDOUT.x, "train": train}
    said = amplify.averaging(MEMBERS, n_train=N_TRAIN, **given).warnings
    assert any("training events with such weights are worth" in w for w in said)
    right = amplify.averaging(MEMBERS, n_train=round(effective), **given).warnings
    assert not any("with such weights" in w for w in right)
    told = amplify.differential(
        MEMBERS[0], HOLDOUT, n_train=N_TRAIN, summary="column:x0", columns=["x0"]
    )
    assert any("if training events are weighted like the holdout" in w for w in told.warnings)


def test_the_page_says_which(tmp_path, monkeypatch):
    """Averaging compares rates in regions, or shapes at each condition; differential shapes."""
    from amplify.report.page import write_page

    monkeypatch.setattr("amplify.report.page._figures", lambda results: defaultdict(list))

    def page(result):
        write_page(result.to_dict(), tmp_path / "page.html")
        return (tmp_path / "page.html").read_text()

    regions = amplify.regions.box([-1], [1], "centre")
    rates = amplify.averaging(MEMBERS, regions, n_train=N_TRAIN, holdout=HOLDOUT)
    assert "<em>rates in the regions</em>" in page(rates)
    pairs = [np.hstack([x, np.sign(x)]) for x in MEMBERS]
    at = amplify.averaging(pairs, regions, n_train=N_TRAIN, condition="x1")
    assert "<em>shapes at each condition</em>" in page(at)
    assert "All samples are compared at the same x1" in page(at)
    shapes = amplify.differential(
        MEMBERS[0], HOLDOUT, n_train=N_TRAIN, summary="column:x0", columns=["x0"]
    )
    assert "<em>shapes in the regions</em>" in page(shapes)
