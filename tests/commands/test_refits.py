"""Biases without a holdout through the command and the Python call: training events that stand in
for one, and refits.
"""

import numpy as np
import pytest

import amplify
from amplify.cli import main
from amplify.external.members import external_members
from amplify.external.refits import external_refits
from amplify.integrals import sample_integrals
from amplify.regions import bins, column
from tests.commands.bad_files import GENERATOR
from tests.commands.samples import arguments, fails, read


def _wide(x_train, seed):
    """A Gaussian that is a quarter too wide: a bias of every training."""
    mean, width = x_train.mean(axis=0), 1.25 * x_train.std(axis=0)
    return lambda n, seed: np.random.default_rng(seed).normal(mean, width, (n, x_train.shape[1]))


@pytest.fixture(scope="module")
def samples():
    """Training events, members and refits of the biased generator."""
    x = np.random.default_rng(1).normal(size=(1000, 1))
    members = external_members(_wide, x, members=8, n_gen=20_000, seed=2)
    sizes = {"n_train": 1000, "n_gen": 20_000}
    return x, members, external_refits(_wide, members, members=8, seed=3, **sizes)


def test_refits_and_training_events_show_what_the_members_share(samples):
    """A width that comes out a quarter too large does so again. In the outermost of ten bins that
    makes .045 of the events too many in a refit, which has an error of .01 without it.
    """
    x, members, refits = samples
    result = amplify.averaging(members, n_train=1000, refits=refits, train=x)
    outermost = result.views["refits"]["regions"][0]
    assert outermost["amplification_interval"][1] < 0.3
    assert result.views["refits"]["over_spread"] > 2 and result.views["refits"]["biased"] >= 2
    verdict = result.views["refits"]["verdict"]
    assert "8 refits" in verdict and "times what the spread of the members says" in verdict
    assert verdict in result.verdict or verdict in str(result)
    # and they stand apart from the training events, which stood in for a holdout
    first = result.records[0]
    assert first["status"] == "biased" and first["n_holdout"] is None
    assert "the training events are" in first["verdict"]
    assert any("better than with their training events" in warning for warning in result.warnings)


def test_without_a_bias_neither_complains():
    """The same without the factor: marks of 12 regions at three standard deviations."""
    x = np.random.default_rng(1).normal(size=(1000, 1))
    honest = lambda x, seed: _wide(x / 1.25 + x.mean() / 5, seed)  # noqa: E731
    members = external_members(honest, x, members=8, n_gen=20_000, seed=2)
    refits = external_refits(honest, members, members=8, n_train=1000, n_gen=20_000, seed=3)
    result = amplify.averaging(members, n_train=1000, refits=refits, train=x)
    assert not any(record["status"] == "biased" for record in result.records)
    assert result.views["refits"]["biased"] == 0
    assert 0.5 < result.views["refits"]["over_spread"] < 1.6
    assert not any("training events" in warning for warning in result.warnings)


def test_refits_learn_from_events_of_their_own(samples):
    _, members, refits = samples
    seen = []
    external_refits(
        lambda x, seed: (seen.append(x), _wide(x, seed))[1],
        members,
        members=3,
        n_train=50,
        n_gen=10,
    )
    rows = np.concatenate(seen)
    assert len(np.unique(rows)) == 150 and np.isin(rows, members.x).all()
    regions = bins(column(0), np.array([-5.0, 0.0, 5.0]), "x")
    assert sample_integrals(refits, regions).integral.shape == (8, 2)
    with pytest.raises(amplify.errors.InputError, match="10 generated events for each"):
        external_refits(_wide, members, members=10_000, n_train=50, n_gen=10)


def test_the_command_trains_refits_once(elsewhere):
    (elsewhere / "gen.py").write_text(GENERATOR)
    np.save("train.npy", np.random.default_rng(0).normal(size=(700, 2)))
    call = "averaging --generator gen:fit --train train.npy --n-gen 7000 --members 2 --refits 2"
    call += " --forecast"
    main(arguments(f"{call} --out run"))
    results = read(elsewhere / "run")
    refits = results["refits"]
    assert refits["refits"] == 2 and len(refits["regions"]) == len(results["estimates"])
    (elsewhere / "run" / "results.json").unlink()
    assert "bootstrap sample left out" in results["out_of_bag"]["verdict"]
    assert 220 < results["out_of_bag"]["n_unseen"] < 300
    trainings = len(list(elsewhere.glob("trained_*")))
    main(arguments(f"{call} --out run"))
    assert len(list(elsewhere.glob("trained_*"))) == trainings
    assert read(elsewhere / "run")["refits"] == refits


def test_bad_input_is_one_line(elsewhere, capsys):
    np.save("train.npy", np.zeros((30, 1)))
    call = "averaging --generator gen:fit --train train.npy --refits"
    assert "one number beside --generator" in fails(capsys, *arguments(f"{call} a.npy"))
    assert "at least 2" in fails(capsys, *arguments(f"{call} 1"))


def test_refits_of_weighted_events_learn_from_as_many_as_those_are_worth(elsewhere):
    """Half of the weights are 3: 1000 events are worth 800. The generator gives no weights."""
    (elsewhere / "gen.py").write_text(WEIGHTED)
    table = np.zeros(1000, [("x", float), ("w", float)])
    table["x"] = np.random.default_rng(0).normal(size=1000)
    table["w"] = np.tile([1.0, 3.0], 500)
    np.save("train.npy", table)
    call = "averaging --generator gen:fit --train train.npy --weight-column w --n-gen 9000"
    main(arguments(f"{call} --members 2 --refits 2 --bins 2 --out run"))
    sizes = sorted(int(path.name.split("_")[1]) for path in elsewhere.glob("trained_*"))
    assert sizes == [800, 800, 1000, 1000]


WEIGHTED = """
from pathlib import Path
import numpy as np

def fit(x, seed, weight=None):
    Path(f"trained_{len(x)}_{seed}").touch()
    mean, width = np.average(x, axis=0, weights=weight), x.std(axis=0)
    return lambda n, seed: np.random.default_rng(seed).normal(mean, width, (n, x.shape[1]))
"""
