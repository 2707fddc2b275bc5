"""amplify.averaging: files, arrays and trained ensembles go the same way; regions are counted."""

import jax
import numpy as np
import pytest

import amplify
from amplify.errors import AmplifyError, InputError, NeedsMembersError
from amplify.regions import radius
from amplify.truth import ring

RNG = np.random.default_rng(0)
MEMBERS = [RNG.normal(0.05 * RNG.normal(), 1, (5000, 2)) for _ in range(8)]
HOLDOUT = RNG.normal(size=(8000, 2))


@pytest.fixture(scope="module")
def ensemble():
    x = ring.sample(jax.random.key(0), n=500)
    flow = amplify.fitted_gaussian(2)
    return amplify.fit_ensemble(
        jax.random.key(1), flow, x, members=8, config=amplify.FitConfig(steps=300)
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_arrays_equal_files(tmp_path, weighted):
    weights = RNG.uniform(0.5, 1.5, (9, 8000)) if weighted else [None] * 9
    paths = []
    for name, x, w in zip([*"01234567", "holdout"], [*MEMBERS, HOLDOUT], weights, strict=True):
        columns = {"x0": x[:, 0], "x1": x[:, 1]} | ({} if w is None else {"weight": w[: len(x)]})
        np.savez(tmp_path / f"{name}.npz", **columns)
        paths.append(str(tmp_path / f"{name}.npz"))
    events = [
        x if w is None else amplify.Events(x, w[: len(x)])
        for x, w in zip([*MEMBERS, HOLDOUT], weights, strict=True)
    ]
    column = "weight" if weighted else None
    from_files = amplify.averaging(
        paths[:8], n_train=300, holdout=paths[8], weight_column=column, level=0.9
    )
    from_arrays = amplify.averaging(events[:8], n_train=300, holdout=events[8], level=0.9)
    assert from_files.records == from_arrays.records
    for key in ("panels", "map", "resolution"):
        assert from_files.to_dict()[key] == from_arrays.to_dict()[key]
    assert from_arrays.settings["holdout"] == "array [8000, 2]"
    assert [i["events"] for i in from_arrays.inputs] == [5000] * 8 + [8000]


def test_samples_and_stacked_arrays_equal_lists():
    expected = amplify.averaging(MEMBERS, n_train=300).records
    stacked = np.stack(MEMBERS)
    assert amplify.averaging(stacked, n_train=300).records == expected
    assert amplify.averaging(amplify.Samples(stacked), n_train=300).records == expected


def test_an_ensemble_in_regions_is_counted_and_forgotten(ensemble):
    key = jax.random.key(5)
    shells = amplify.regions.equiprobable(np.asarray(HOLDOUT), radius, 5)
    result = amplify.averaging(ensemble, shells, n_train=500, n_gen=40_000, key=key)
    samples = ensemble.sample(key, 40_000)
    counted = amplify.sample_integrals(samples, shells)
    expected = amplify.averaging_amplification(counted.integral, n_train=500, n_gen=counted.n_gen)
    np.testing.assert_allclose(result.estimate.factor.value, expected.factor.value)
    assert result.labels == shells.labels and result.n_gen == 40_000 and result.members == 8
    assert not any("same events" in warning for warning in result.warnings)
    with_holdout = amplify.averaging(
        ensemble, shells, n_train=500, n_gen=40_000, key=key, holdout=HOLDOUT
    )
    assert np.isfinite(with_holdout.estimate.pull).all() and with_holdout.n_holdout == 8000


def test_an_ensemble_without_regions_has_the_default_ones(ensemble):
    result = amplify.averaging(ensemble, n_train=500, n_gen=5000, key=jax.random.key(6))
    assert len(result.labels) == 24 and {"panels", "map", "resolution"} <= set(result.views)


def test_regions_of_ones_own_on_arrays():
    box = amplify.regions.box([-1, -1], [1, 1], "box")
    result = amplify.averaging(MEMBERS, box, n_train=300)
    assert result.labels == ("box",) and result.settings["regions"] == ["box"]
    fraction = np.mean([((np.abs(x) < 1).all(axis=1)).mean() for x in MEMBERS])
    assert result["box"]["integral"] == pytest.approx(fraction, rel=1e-3)


def test_regions_from_a_file(tmp_path):
    (tmp_path / "cuts.yaml").write_text("right: x0 > 0\nbox: {x0: [-1, 1], x1: [null, 0]}\n")
    result = amplify.averaging(MEMBERS, tmp_path / "cuts.yaml", n_train=300)
    assert result.labels == ("right", "box")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda e: amplify.averaging(MEMBERS[:1], n_train=10), NeedsMembersError, "at least 2"),
        (lambda e: amplify.averaging(MEMBERS[0], n_train=10), InputError, r"member, event, dim"),
        (lambda e: amplify.averaging("gen.npy", n_train=10), InputError, "got one file"),
        (lambda e: amplify.averaging(MEMBERS, n_train=0), InputError, "--n-train"),
        (lambda e: amplify.averaging(MEMBERS, n_train=10, level=2.0), InputError, "--level"),
        (lambda e: amplify.averaging(MEMBERS, n_train=10, n_gen=5), InputError, "ensemble"),
        (lambda e: amplify.averaging(e, n_train=10), InputError, "key"),
        (lambda e: amplify.averaging(MEMBERS, n_train=10, columns=["pt"]), InputError, "x0, x1"),
        (
            lambda e: amplify.averaging([*MEMBERS[:3], MEMBERS[3][:, :1]], n_train=10),
            InputError,
            "2 columns of member 0",
        ),
        (
            lambda e: amplify.averaging([MEMBERS[0], MEMBERS[1] * np.nan], n_train=10),
            InputError,
            "nan in row 0, column x0",
        ),
        (lambda e: amplify.averaging(MEMBERS, "no.yaml", n_train=10), InputError, "no such file"),
    ],
)
def test_errors_are_one_line(call, error, words, ensemble):
    with pytest.raises(error, match=words) as raised:
        call(ensemble)
    assert isinstance(raised.value, AmplifyError) and "\n" not in str(raised.value)
