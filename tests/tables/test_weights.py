"""Weighted events: integer weights are repeated events, scales do not matter, negative ones cancel,
and nothing is dropped in silence.
"""

import json

import numpy as np
import pytest

from amplify import regions
from amplify.cli import main
from tests.commands.differential_files import fails


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr("amplify.report.page.write_page", lambda results, path: None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _read(out):
    with open(f"{out}/results.json") as file:
        return json.load(file)


def _averaging(out, members, *more, n_train=1000):
    main(["averaging", "--members", *members, "--n-train", str(n_train), *more, "--out", out])
    return _read(out)


def _differential(out, generated, holdout, *more):
    main(
        [
            "differential",
            "--generated",
            generated,
            "--holdout",
            holdout,
            "--n-train",
            "1000",
            *more,
            "--out",
            out,
        ]
    )
    return _read(out)


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


CUTS = '{"right": {"x0": [0, null]}, "box": {"x0": [-1, 1], "x1": [null, 0.3]}, "tail": {"x0": [1.5, null]}}'


def test_integer_weights_are_repeated_events_for_averaging(elsewhere):
    """The same integrals and the same total spread; what is noise differs, because copies are no
    new events, and so n_equiv within its interval.
    """
    (elsewhere / "cuts.json").write_text(CUTS)
    samples = _samples()
    weighted = [_save(f"w{m}", x, w) for m, (x, w) in enumerate(samples)]
    repeated = [_save(f"r{m}", np.repeat(x, w, axis=0)) for m, (x, w) in enumerate(samples)]
    a = _averaging("weighted", weighted, "--weight-column", "w", "--regions", "cuts.json")[
        "estimates"
    ]
    b = _averaging("repeated", repeated, "--regions", "cuts.json")["estimates"]
    inside = [
        lambda x: x[:, 0] >= 0,
        lambda x: (x[:, 0] >= -1) & (x[:, 0] < 1) & (x[:, 1] < 0.3),
        lambda x: x[:, 0] >= 1.5,
    ]
    for one, other, cut in zip(a, b, inside, strict=True):
        assert one["integral"] == pytest.approx(other["integral"], abs=1e-12)
        assert one["n_equiv_at_n_gen"] == pytest.approx(other["n_equiv_at_n_gen"], rel=1e-9)
        variances = [
            (w**2 * (cut(x) - w @ cut(x) / w.sum()) ** 2).sum() / w.sum() ** 2 for x, w in samples
        ]
        assert (
            one["sigma_stat"] == pytest.approx(np.sqrt(np.mean(variances)), rel=1e-9)
            and one["sigma_stat"] > 1.2 * other["sigma_stat"]
        )
        assert (
            one["n_equiv_interval"][0] < other["n_equiv"] < (one["n_equiv_interval"][1] or np.inf)
        )
        assert other["n_equiv_interval"][0] < (one["n_equiv"] or np.inf)


def test_integer_weights_place_the_same_bins():
    samples = _samples(3)
    a = _averaging(
        "weighted",
        [_save(f"w{m}", x, w) for m, (x, w) in enumerate(samples)],
        "--weight-column",
        "w",
    )
    b = _averaging(
        "repeated", [_save(f"r{m}", np.repeat(x, w, axis=0)) for m, (x, w) in enumerate(samples)]
    )
    assert [e["region"] for e in a["estimates"]] == [e["region"] for e in b["estimates"]] and len(
        a["estimates"]
    ) == 24
    np.testing.assert_allclose(
        [e["integral"] for e in a["estimates"]], [e["integral"] for e in b["estimates"]], atol=1e-12
    )


def test_integer_weights_are_repeated_events_for_an_observable():
    rng = np.random.default_rng(4)
    (x, w), (y, v) = (
        (rng.normal(shift, 1, (n, 2)), rng.integers(low, 4, n))
        for shift, n, low in ((0.1, 20_000, 0), (0.0, 3000, 1))
    )
    a = _differential(
        "weighted",
        _save("gw", x, w),
        _save("hw", y, v),
        "--summary",
        "column:x0",
        "--weight-column",
        "w",
    )["estimates"][0]
    b = _differential(
        "repeated",
        _save("gr", np.repeat(x, w, axis=0)),
        _save("hr", np.repeat(y, v, axis=0)),
        "--summary",
        "column:x0",
    )["estimates"][0]
    n_effective = v.sum() ** 2 / (v**2).sum()
    assert a["n_holdout_region"] == pytest.approx(n_effective) and b[
        "n_holdout_region"
    ] == pytest.approx(v.sum())
    assert a["n_equiv_interval"][0] < b["n_equiv"] < (a["n_equiv_interval"][1] or np.inf)
    assert (
        a["n_equiv_interval"][0] < 475 < (a["n_equiv_interval"][1] or np.inf)
    )  # the truth, N(.1, 1) against N(0, 1)


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**40])
def test_the_scale_of_weights_does_not_matter(scale):
    """Cross sections in pb or fb: powers of two change no digit."""
    samples = _samples(3, 1500, seed=1)
    found = []
    for i, factor in enumerate((1.0, scale)):
        names = [_save(f"s{i}_{m}", x, factor * (w + 0.25)) for m, (x, w) in enumerate(samples)]
        both = [_averaging(f"a{i}", names, "--weight-column", "w")]
        both += [
            _differential(
                f"{summary[:3]}{i}", *names[:2], "--weight-column", "w", "--summary", summary
            )
            for summary in ("column:x0", "classifier")
        ]
        found.append([(r["estimates"], r["panels"]) for r in both])
    assert found[0] == found[1]


def test_weights_may_be_formulas():
    rng = np.random.default_rng(3)
    names = [
        _save(f"m{m}", rng.normal(size=(2000, 2)), rng.uniform(0.5, 1, 2000)) for m in range(2)
    ]
    columns = ("--columns", "x0", "x1")
    plain, formula = (
        _averaging(str(i), names, "--weight-column", text, *columns)["estimates"]
        for i, text in enumerate(("w", "4 * w"))
    )
    assert plain == formula
    plain, formula = (
        _differential(f"d{i}", *names, "--weight-column", text, *columns)["estimates"]
        for i, text in enumerate(("w", "4 * w"))
    )
    assert plain == formula


def test_events_of_opposite_weights_cancel(elsewhere):
    """A pair of +1 and -1 adds nothing to a fraction, but noise."""
    (elsewhere / "cuts.json").write_text(CUTS)
    rng = np.random.default_rng(5)
    plain, pairs = [], []
    for m, (x, _) in enumerate(_samples(4, seed=6)):
        more = rng.normal(size=(400, 2))
        plain.append(_save(f"p{m}", x, np.ones(len(x))))
        pairs.append(
            _save(
                f"n{m}",
                np.concatenate([x, more, more]),
                np.repeat([1.0, 1.0, -1.0], [len(x), 400, 400]),
            )
        )
    a, b = (
        _averaging(out, names, "--weight-column", "w", "--regions", "cuts.json")
        for out, names in (("plain", plain), ("pairs", pairs))
    )
    for one, other in zip(a["estimates"], b["estimates"], strict=True):
        assert (
            one["integral"] == pytest.approx(other["integral"], abs=1e-12)
            and other["sigma_stat"] > one["sigma_stat"]
        )
    assert sum(
        "1600 negative weights in 4 samples" in warning for warning in b["warnings"]
    ) == 1 and not any("negative" in warning for warning in a["warnings"])


@pytest.mark.parametrize("seed", range(3))
def test_effective_numbers_are_those_of_the_formula(seed):
    """n_effective: I (1 - I) / n is the variance sum w^2 (1_V - I)^2 / (sum w)^2, in any chunks."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(500, 1)), rng.choice([-1.0, 0.5, 2.0], 500, p=[0.1, 0.5, 0.4])
    bins = regions.bins(regions.column(0), [-np.inf, -0.5, 0.3, np.inf], "x")
    total = regions.count(bins, x[:123], w[:123])
    found = regions.fractions(total.plus(regions.count(bins, x[123:], w[123:])))
    inside = bins.contains(x)
    share = w @ inside / w.sum()
    noise = (w[:, None] ** 2 * (inside - share) ** 2).sum(axis=0) / w.sum() ** 2
    np.testing.assert_allclose(found.integral, share, rtol=1e-12)
    np.testing.assert_allclose(found.n_effective, share * (1 - share) / noise, rtol=1e-9)


@pytest.mark.parametrize("summary", ["classifier", "column:x0"])
def test_negative_weights_are_honoured_and_told(summary):
    """mlp and trees share this path; they take 8 and 14 s."""
    rng = np.random.default_rng(7)
    names = [
        _save(name, rng.normal(size=(600, 2)), rng.choice([-1.0, 1.0], 600, p=[0.2, 0.8]))
        for name in ("gen", "true")
    ]
    results = _differential("run", *names, "--weight-column", "w", "--summary", summary)
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
    results = _averaging("run", _nlo(0.9), "--weight-column", "w")
    assert len(results["estimates"]) == 24 and {e["status"] for e in results["estimates"]} & {
        "resolved",
        "lower_limit",
    }


def test_negative_weights_and_regions_of_ones_own(elsewhere):
    (elsewhere / "cuts.json").write_text('{"right": {"x0": [0, null]}}')
    assert (
        len(
            _averaging("run", _nlo(0.9), "--weight-column", "w", "--regions", "cuts.json")[
                "estimates"
            ]
        )
        == 1
    )


def test_weights_that_cancel_in_one_bin():
    for seed in range(4):
        assert _averaging(f"run{seed}", _nlo(0.0, n=800, seed=seed), "--weight-column", "w")[
            "estimates"
        ]


@pytest.mark.parametrize("command", ["differential", "averaging"])
def test_a_weight_column_that_is_no_numbers_is_not_ignored(command, capsys):
    rng = np.random.default_rng(8)
    good = [_save(f"m{m}", rng.normal(size=(500, 2)), np.ones(500)) for m in range(2)]
    bad = _save("text", rng.normal(size=(500, 2)), np.array(["1.0"] * 500))
    given = (
        ["--members", *good, "--holdout", bad]
        if command == "averaging"
        else ["--generated", good[0], "--holdout", bad, "--summary", "column:x0"]
    )
    try:
        main([command, *given, "--n-train", "1000", "--weight-column", "w", "--out", "run"])
    except SystemExit as stop:
        assert stop.code == 2 and "w" in capsys.readouterr().err
        return
    assert any("weight" in warning for warning in _read("run")["warnings"])


def test_a_holdout_without_weights_is_told():
    rng = np.random.default_rng(9)
    names = [_save(f"m{m}", rng.normal(size=(500, 2)), rng.uniform(0.5, 1, 500)) for m in range(2)]
    holdout = _save("plain", rng.normal(size=(500, 2)))
    results = _averaging("run", names, "--weight-column", "w", "--holdout", holdout)
    assert any("plain.npz" in warning and "weight" in warning for warning in results["warnings"])


def test_weights_that_sum_to_nothing_name_the_file(capsys):
    rng = np.random.default_rng(10)
    names = [
        _save(f"m{m}", rng.normal(size=(500, 2)), np.full(500, float(m > 0))) for m in range(3)
    ]
    assert "m0.npz" in fails(
        capsys, "averaging", "--members", *names, "--n-train", "1000", "--weight-column", "w"
    )


def test_a_column_of_weights_is_no_observable():
    rng = np.random.default_rng(11)
    names = [_save(f"m{m}", rng.normal(size=(500, 2)), rng.uniform(0.5, 1, 500)) for m in range(2)]
    results = _averaging("run", names, "--weight-column", "2 * w")
    assert results["inputs"][0]["columns"] == ["x0", "x1"]
