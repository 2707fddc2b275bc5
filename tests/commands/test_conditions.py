"""--condition of both commands, and weights in the holdout alone."""

import json

import numpy as np
import pytest

from amplify.cli import main
from tests.commands.samples import arguments


@pytest.fixture
def samples(tmp_path):
    """Eight members with few events at the second energy, a holdout with weights of both signs, and
    training events.
    """
    rng = np.random.default_rng(0)

    def save(name, n, share, shift=0.0, **more):
        energy = np.where(rng.random(n) < share, 20.0, 10.0)
        x = energy * (1 + 0.1 * (rng.normal(size=n) + shift))
        path = tmp_path / name
        np.savez(path, x=x, energy=energy, **more)
        return path

    members = [save(f"m{m}.npz", 4000, 0.2, 0.02 * rng.normal()) for m in range(8)]
    sign = np.where(rng.random(3000) < 0.1, -1.0, 1.0)
    return members, save("h.npz", 3000, 0.5, genWeight=sign), save("t.npz", 2000, 0.5)


def test_averaging_at_a_condition(samples, tmp_path):
    members, holdout, train = samples
    given = arguments("--holdout", holdout, "--train", train, "--n-train 2000 --condition energy")
    more = arguments("--weight-column genWeight --bins 2 --out", tmp_path / "out")
    main(["averaging", "--members", *map(str, members), *given, *more])
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    labels = [r["region"] for r in found["estimates"]]
    assert len(labels) == 4 and labels[0].startswith("energy = 10: x < ")
    assert found["settings"]["condition"] == "energy" and found["settings"]["columns"] == ["x"]
    assert found["condition"]["regions"] == ["energy = 10", "energy = 20"]
    n_train = [r["n_train_region"] for r in found["estimates"]]
    np.testing.assert_allclose(n_train, 1000, rtol=0.1)
    assert not any(r["status"] == "biased" for r in found["estimates"])
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"covariance.json", "pyhf.json", "histograms.json"} <= written


def test_differential_at_a_condition(samples, tmp_path, capsys):
    members, holdout, _ = samples
    call = arguments("differential --generated", members[0], "--holdout", holdout)
    call += arguments("--n-train 2000 --condition energy --columns x --weight-column genWeight")
    main([*call, *arguments("--summary column:x --out", tmp_path / "out")])
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [r["region"] for r in found["estimates"]] == ["all", "energy = 10", "energy = 20"]
    assert "at the same energy" in found["estimates"][0]["summary"]
    assert "All samples are compared at the same energy" in capsys.readouterr().err
    main([*call, "--dry-run"])
    assert "stratum" not in capsys.readouterr().err
