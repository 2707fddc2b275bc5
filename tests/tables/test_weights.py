"""Weighted events: integer weights are repeated events, scales do not matter, negative ones cancel,
and nothing is dropped in silence.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from amplify import regions
from amplify.cli import main
from tests.commands.samples import (
    averaging_call,
    differential_call,
    fails,
    read,
    run_averaging,
    run_differential,
)

pytestmark = pytest.mark.usefixtures("no_page", "in_a_directory")

W = "--weight-column w"


@pytest.fixture
def in_a_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _averaging(out, members, *more):
    return run_averaging(Path(out), members, *more)


def _differential(out, samples, *more):
    return run_differential(Path(out), *samples, *more)


def _samples(count=8, n=4000, seed=0):
    """Members whose mean scatters as that of 1000 events, with whole-number weights."""
    rng = np.random.default_rng(seed)
    return [
        (rng.normal(size=(n, 2)) + rng.normal(size=2) / np.sqrt(1000), rng.integers(0, 4, n))
        for _ in range(count)
    ]


def _save(name, x, w=None):
    np.savez(name, x0=x[:, 0], x1=x[:, 1], **({} if w is None else {"w": w}))
    return f"{name}.npz"


def _save_both(samples):
    """Files with weights, and files with repeated events."""
    weighted = [_save(f"w{m}", x, w) for m, (x, w) in enumerate(samples)]
    repeated = [_save(f"r{m}", np.repeat(x, w, axis=0)) for m, (x, w) in enumerate(samples)]
    return weighted, repeated


CUTS = {
    "right": {"x0": [0, None]},
    "box": {"x0": [-1, 1], "x1": [None, 0.3]},
    "tail": {"x0": [1.5, None]},
}
INSIDE = [
    lambda x: x[:, 0] >= 0,
    lambda x: (x[:, 0] >= -1) & (x[:, 0] < 1) & (x[:, 1] < 0.3),
    lambda x: x[:, 0] >= 1.5,
]


@pytest.fixture
def cuts(tmp_path):
    path = tmp_path / "cuts.json"
    path.write_text(json.dumps(CUTS))
    return "--regions cuts.json"


def _variance(cut, x, w):
    """Of the weighted fraction."""
    share = w @ cut(x) / w.sum()
    return (w**2 * (cut(x) - share) ** 2).sum() / w.sum() ** 2


def test_integer_weights_are_repeated_events_for_averaging(cuts):
    """The same integrals and the same total spread; what is noise differs, because copies are no
    new events, and so n_equiv within its interval.
    """
    samples = _samples()
    weighted, repeated = _save_both(samples)
    with_weights = _averaging("weighted", weighted, W, cuts)["estimates"]
    without = _averaging("repeated", repeated, cuts)["estimates"]
    for one, other, cut in zip(with_weights, without, INSIDE, strict=True):
        assert one["integral"] == pytest.approx(other["integral"], abs=1e-12)
        assert one["n_equiv_at_n_gen"] == pytest.approx(other["n_equiv_at_n_gen"], rel=1e-9)
        noise = np.sqrt(np.mean([_variance(cut, x, w) for x, w in samples]))
        assert one["sigma_stat"] == pytest.approx(noise, rel=1e-9)
        assert one["sigma_stat"] > 1.2 * other["sigma_stat"]
        low, high = one["n_equiv_interval"]
        assert low < other["n_equiv"] < (high or np.inf)
        assert other["n_equiv_interval"][0] < (one["n_equiv"] or np.inf)


def test_integer_weights_place_the_same_bins():
    weighted, repeated = _save_both(_samples(3))
    with_weights = _averaging("weighted", weighted, W)["estimates"]
    without = _averaging("repeated", repeated)["estimates"]
    assert [e["region"] for e in with_weights] == [e["region"] for e in without]
    assert len(without) == 24
    integrals = [[e["integral"] for e in estimates] for estimates in (with_weights, without)]
    np.testing.assert_allclose(*integrals, atol=1e-12)


def test_integer_weights_are_repeated_events_for_an_observable():
    """N(.1, 1) against N(0, 1): the truth is n_equiv 475."""
    rng = np.random.default_rng(4)
    (x, w), (y, v) = (
        (rng.normal(shift, 1, (n, 2)), rng.integers(low, 4, n))
        for shift, n, low in ((0.1, 20_000, 0), (0.0, 3000, 1))
    )
    weighted, repeated = _save_both([(x, w), (y, v)])
    one = _differential("weighted", weighted, "--summary column:x0", W)["estimates"][0]
    other = _differential("repeated", repeated, "--summary column:x0")["estimates"][0]
    n_effective = v.sum() ** 2 / (v**2).sum()
    assert one["n_holdout_region"] == pytest.approx(n_effective)
    assert other["n_holdout_region"] == pytest.approx(v.sum())
    low, high = one["n_equiv_interval"]
    assert low < other["n_equiv"] < (high or np.inf) and low < 475 < (high or np.inf)


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**40])
def test_the_scale_of_weights_does_not_matter(scale):
    """Cross sections in pb or fb: powers of two change no digit."""
    samples = _samples(3, 1500, seed=1)
    answers = []
    for i, factor in enumerate((1.0, scale)):
        names = [_save(f"s{i}_{m}", x, factor * (w + 0.25)) for m, (x, w) in enumerate(samples)]
        runs = [_averaging(f"a{i}", names, W)]
        for summary in ("column:x0", "classifier"):
            out = f"{summary[:3]}{i}"
            runs.append(_differential(out, names[:2], W, f"--summary {summary}"))
        answers.append([(results["estimates"], results["panels"]) for results in runs])
    assert answers[0] == answers[1]


@pytest.mark.parametrize("command", [_averaging, _differential])
def test_weights_may_be_formulas(command):
    rng = np.random.default_rng(3)
    names = []
    for m in range(2):
        names.append(_save(f"m{m}", rng.normal(size=(2000, 2)), rng.uniform(0.5, 1, 2000)))
    plain, formula = (
        command(f"run{i}", names, f"--weight-column '{text}' --columns x0 x1")["estimates"]
        for i, text in enumerate(("w", "4 * w"))
    )
    assert plain == formula


def test_events_of_opposite_weights_cancel(cuts):
    """A pair of +1 and -1 adds nothing to a fraction, but noise."""
    rng = np.random.default_rng(5)
    plain, with_pairs = [], []
    for m, (x, _) in enumerate(_samples(4, seed=6)):
        more = rng.normal(size=(400, 2))
        weight = np.repeat([1.0, 1.0, -1.0], [len(x), 400, 400])
        plain.append(_save(f"p{m}", x, np.ones(len(x))))
        with_pairs.append(_save(f"n{m}", np.concatenate([x, more, more]), weight))
    without, with_ = (
        _averaging(out, names, W, cuts) for out, names in (("plain", plain), ("pairs", with_pairs))
    )
    for one, other in zip(without["estimates"], with_["estimates"], strict=True):
        assert one["integral"] == pytest.approx(other["integral"], abs=1e-12)
        assert other["sigma_stat"] > one["sigma_stat"]
    words = "1600 negative weights in 4 samples"
    assert sum(words in warning for warning in with_["warnings"]) == 1
    assert not any("negative" in warning for warning in without["warnings"])


@pytest.mark.parametrize("seed", range(3))
def test_effective_numbers_are_those_of_the_formula(seed):
    """n_effective: I (1 - I) / n is the variance sum w^2 (1_V - I)^2 / (sum w)^2, in any chunks."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(500, 1)), rng.choice([-1.0, 0.5, 2.0], 500, p=[0.1, 0.5, 0.4])
    bins = regions.bins(regions.column(0), [-np.inf, -0.5, 0.3, np.inf], "x")
    first, rest = (regions.count(bins, x[rows], w[rows]) for rows in (slice(123), slice(123, 500)))
    counted = regions.fractions(first.plus(rest))
    inside = bins.contains(x)
    share = w @ inside / w.sum()
    noise = (w[:, None] ** 2 * (inside - share) ** 2).sum(axis=0) / w.sum() ** 2
    np.testing.assert_allclose(counted.integral, share, rtol=1e-12)
    np.testing.assert_allclose(counted.n_effective, share * (1 - share) / noise, rtol=1e-9)


@pytest.mark.parametrize("summary", ["classifier", "column:x0"])
def test_negative_weights_are_honoured_and_told(summary):
    """mlp and trees share this path; they take 8 and 14 s."""
    rng = np.random.default_rng(7)
    samples = []
    for name in ("gen", "true"):
        weight = rng.choice([-1.0, 1.0], 600, p=[0.2, 0.8])
        samples.append(_save(name, rng.normal(size=(600, 2)), weight))
    results = _differential("run", samples, W, f"--summary {summary}")
    assert sum("negative weights" in warning for warning in results["warnings"]) == 2
    assert results["estimates"][0]["n_holdout_region"] < 300


# what was wrong once


def _nlo(rho, n=20_000, members=8, seed=0):
    """Correlated columns, as everywhere, and 20 % negative weights, as at next-to-leading order."""
    rng = np.random.default_rng(seed)
    names = []
    for m in range(members):
        a = rng.normal(size=n) + rng.normal() / 30
        x = np.stack([a, rho * a + np.sqrt(1 - rho**2) * rng.normal(size=n)], axis=1)
        names.append(_save(f"nlo{m}", x, rng.choice([-1.0, 1.0], n, p=[0.2, 0.8])))
    return names


def test_negative_weights_and_correlated_columns():
    estimates = _averaging("run", _nlo(0.9), W)["estimates"]
    assert len(estimates) == 24
    assert {e["status"] for e in estimates} & {"resolved", "lower_limit"}


def test_negative_weights_and_regions_of_ones_own(cuts):
    assert len(_averaging("run", _nlo(0.9), W, cuts)["estimates"]) == len(CUTS)


@pytest.mark.parametrize("seed", range(4))
def test_weights_that_cancel_in_one_bin(seed):
    assert _averaging("run", _nlo(0.0, n=800, seed=seed), W)["estimates"]


@pytest.mark.parametrize("command", ["differential", "averaging"])
def test_a_weight_column_that_is_no_numbers_is_not_ignored(command, capsys):
    """It is refused, or told."""
    rng = np.random.default_rng(8)
    good = [_save(f"m{m}", rng.normal(size=(500, 2)), np.ones(500)) for m in range(2)]
    text = _save("text", rng.normal(size=(500, 2)), np.array(["1.0"] * 500))
    call = {
        "averaging": averaging_call(good, f"--holdout {text} {W} --out run"),
        "differential": differential_call(good[0], text, f"--summary column:x0 {W} --out run"),
    }[command]
    try:
        main(call)
    except SystemExit as stop:
        assert stop.code == 2 and "w" in capsys.readouterr().err
        return
    assert any("weight" in warning for warning in read(Path("run"))["warnings"])


def test_a_holdout_without_weights_is_told():
    rng = np.random.default_rng(9)
    names = [_save(f"m{m}", rng.normal(size=(500, 2)), rng.uniform(0.5, 1, 500)) for m in range(2)]
    holdout = _save("plain", rng.normal(size=(500, 2)))
    results = _averaging("run", names, W, f"--holdout {holdout}")
    assert any("plain.npz" in warning and "weight" in warning for warning in results["warnings"])


def test_weights_that_sum_to_nothing_name_the_file(capsys):
    rng = np.random.default_rng(10)
    names = []
    for m in range(3):
        names.append(_save(f"m{m}", rng.normal(size=(500, 2)), np.full(500, float(m > 0))))
    assert "m0.npz" in fails(capsys, *averaging_call(names, W))


def test_a_column_of_weights_is_no_observable():
    rng = np.random.default_rng(11)
    names = [_save(f"m{m}", rng.normal(size=(500, 2)), rng.uniform(0.5, 1, 500)) for m in range(2)]
    results = _averaging("run", names, "--weight-column '2 * w'")
    assert results["inputs"][0]["columns"] == ["x0", "x1"]
