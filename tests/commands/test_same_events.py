"""The same events twice: a holdout that is the generated or the training sample proves nothing, and
events that repeat by chance are no reason to refuse one.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.commands.samples import differential_call, fails, save, take
from tests.commands.samples import run_differential as run


def _refused(capsys, words, *given):
    line = fails(capsys, *differential_call(*given))
    assert words in line and ": expected " in line and ", got " in line and "; " in line, line
    return line


@pytest.fixture(autouse=True)
def nothing_is_written(elsewhere, request):
    yield
    if "refused" in request.node.name:
        assert not list(elsewhere.glob("**/results.json"))
        assert not Path("amplify-runs").exists()


KINDS = [(kind, False) for kind in ("path", "copy", "shuffled", "float32", "weighted")]
KINDS += [(kind, True) for kind in ("path", "copy", "shuffled")]


@pytest.mark.parametrize("summary", ["classifier", "column:x0"])
@pytest.mark.parametrize(("kind", "discrete"), KINDS)
def test_identical_samples_are_refused(kind, discrete, summary, capsys):
    rng = np.random.default_rng(27)
    x = rng.integers(0, 10, (2000, 1)) if discrete else rng.normal(size=(2000, 2))
    np.save("gen.npy", x)
    holdout, more = "holdout.npy", ""
    if kind == "path":
        holdout = f"../{Path.cwd().name}/gen.npy"
    elif kind == "weighted":
        holdout, more = "holdout.npz", "--weight-column w"
        columns = {f"x{i}": column for i, column in enumerate(x.T)}
        np.savez(holdout, w=np.ones(len(x)), **columns)
    elif kind == "shuffled":
        np.save(holdout, rng.permutation(x))
    else:
        np.save(holdout, x.astype(np.float32) if kind == "float32" else x)
    line = _refused(capsys, "gen.npy", "gen.npy", holdout, f"--summary {summary} {more}")
    assert holdout in line and re.search("same|identical|different events", line), line


def test_identical_events_are_refused_beside_a_discrete_column(capsys):
    """--columns names what to learn from; the other columns still tell events apart."""
    rng = np.random.default_rng(28)
    events = {"pt": rng.exponential(size=2000), "jets": rng.integers(0, 10, 2000)}
    save("holdout.npz", events)
    save("copy.npz", take(events, rng.permutation(2000)))
    save("gen.npz", {"pt": rng.exponential(size=20_000), "jets": rng.integers(0, 10, 20_000)})
    more = "--columns jets --summary column:jets"
    _refused(capsys, "copy.npz", "copy.npz", "holdout.npz", more)
    _refused(capsys, "copy.npz", "gen.npz", "holdout.npz", more, "--train copy.npz")


def test_identical_events_with_other_numbers_are_refused(capsys):
    """Row numbers and weights that nobody named hide no copies, nor does an offset."""
    rng = np.random.default_rng(31)
    events = {"t": 1.7e9 + rng.normal(0, 20, 2000), "jets": rng.integers(0, 10, 2000)}
    save("holdout.npz", events, event=np.arange(2000))
    copy = take(events, rng.permutation(2000))
    save("copy.npz", copy, event=np.arange(5, 2005), genWeight=rng.uniform(0.5, 1.5, 2000))
    more = "--columns jets --summary column:jets"
    _refused(capsys, "copy.npz", "copy.npz", "holdout.npz", more)


@pytest.mark.parametrize(
    ("values", "told"), [("integers", False), ("tenths", False), ("copies", True)]
)
def test_only_continuous_values_are_called_copies(values, told):
    rng = np.random.default_rng(32)
    for name, n in (("gen", 20_000), ("holdout", 2000)):
        x = rng.normal(1.7e9, 20, n)
        if values == "copies":
            x = np.concatenate([x, x[: n // 10]])
        kinds = {"integers": np.floor(x), "tenths": np.round(x, 1), "copies": x}
        np.save(f"{name}.npy", kinds[values][:, None])
    results = run(Path("run"), "gen.npy", "holdout.npy", "--summary column:x0")
    assert any("copy" in warning for warning in results["warnings"]) == told


@pytest.mark.parametrize("share", [1.0, 0.05])
@pytest.mark.parametrize(
    "case",
    [
        "plain",
        "few",
        "float32",
        "columns in another order",
        "one duplicate",
        "weights",
        "column of one",
        "weighted column of one",
        "ratio",
    ],
)
def test_holdout_used_in_training_is_refused(case, share, capsys):
    """5 % of the holdout are events of the training file, or all are; the other columns, weights
    and precision of the files do not hide them.
    """
    rng = np.random.default_rng(29)
    n, n_train = (200, 2000) if case == "few" else (2000, 20_000)
    of_one = "column of one" in case
    names = ["x0"] if of_one else ["x0", "x1"]
    holdout, train, generated = (
        {name: rng.normal(size=m) for name in names} for m in (n, n_train, 20_000)
    )
    if case == "one duplicate":
        holdout = take(holdout, [1, *range(1, n)])
    common = int(share * n)
    for name in names:
        rows = rng.permutation(n_train)[:common] if of_one else slice(100, 100 + common)
        train[name][rows] = holdout[name][n - common :]
    summary, more = "column:x0" if of_one else "classifier", ""
    if case == "float32":
        train = {name: values.astype(np.float32) for name, values in train.items()}
    if case == "columns in another order":
        train = dict(reversed(train.items()))
    if "weight" in case:
        holdout["w"], more = rng.uniform(0.5, 1.5, n), "--weight-column w"
    if case == "ratio":
        holdout["t"], generated["t"] = holdout["x0"] / 10, generated["x0"] / 10
        summary = "ratio:t"
    for name, events in (("holdout", holdout), ("train", train), ("gen", generated)):
        save(f"{name}.npz", events)
    options = f"--train train.npz --summary {summary} {more}"
    line = _refused(capsys, "train.npz", "gen.npz", "holdout.npz", options)
    assert "holdout" in line and "training" in line, line


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
@pytest.mark.parametrize(
    ("columns", "n_gen", "n_holdout"),
    [(1, 20_000, 1000), (2, 20_000, 1000), (4, 20_000, 1000), (6, 40_000, 500)],
)
def test_discrete_columns_are_no_overlap(columns, n_gen, n_holdout, dtype):
    """Integers 0..9 repeat by chance: 1e6 kinds of events make 20 pairs of 40000 generated and 500
    true ones.
    """
    rng = np.random.default_rng(30)
    for name, n in (("gen", n_gen), ("holdout", n_holdout), ("train", n_gen)):
        np.save(f"{name}.npy", rng.integers(0, 10, (n, columns)).astype(dtype))
    more = "--train train.npy --summary column:x0"
    results = run(Path("run"), "gen.npy", "holdout.npy", more, n_train=n_gen)
    assert results["estimates"][0]["status"] in ("resolved", "lower_limit")


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("n_holdout", [5000, 20_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_continuous_column_is_no_overlap(dtype, n_holdout, seed):
    """Single precision has few enough numbers that about 20 of 300000 generated and 5000 true ones
    are equal by chance.
    """
    rng = np.random.default_rng(seed)
    for name, n in (("gen", 300_000), ("holdout", n_holdout)):
        np.save(f"{name}.npy", rng.normal(size=n).astype(dtype))
    results = run(Path("run"), "gen.npy", "holdout.npy", "--summary column:x0")
    assert results["estimates"][0]["n_holdout"] == n_holdout
