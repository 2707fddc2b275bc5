"""The study of the Frechet distance and of bandwidths at its smallest, and the benchmark."""

import json

import numpy as np
import pytest

from amplify.estimators.statistics.moments import frechet
from amplify.results.records import read_json
from experiments import kernels
from experiments.benchmarks import kernels as speed
from experiments.gaussian_mixtures import mixture
from paper_figures.recorded import DIRECTORY


def test_study_at_its_smallest(tmp_path):
    path = kernels.main("smoke", tmp_path)
    found = read_json(path)["study"]
    assert [row["dim"] for row in found["extrapolation"]] == [5]
    assert found["bandwidths"][0]["way"] == "largest over quantile"
    first = path.read_text()
    path.unlink()
    assert kernels.main("smoke", tmp_path).read_text() == first


def test_fit_and_limit_are_those_of_our_value():
    """The fit scatters around our value, and the limit of many events has the spread of 60 pairs
    of samples: with an error of 9 %, of which four are allowed.
    """
    model, rng = mixture(5), np.random.default_rng(0)
    pairs = [(model.draw(rng, 400), model.draw(rng, 400)) for _ in range(60)]
    values = np.array([frechet(x, y) for x, y in pairs])
    added = np.array([kernels._fit_to_subsamples(x, y, rng) for x, y in pairs[:8]]) - values[:8]
    assert abs(added.mean()) < 4 * added.std(ddof=1) / 8**0.5
    variances = kernels._principal_variances(model.draw(rng, 20_000))
    spread = 2 / 400 * np.sqrt(2 * (variances**2).sum())
    assert values.std(ddof=1) == pytest.approx(spread, rel=0.4)


def test_speed_is_measured_of_equal_values(tmp_path, capsys):
    out = tmp_path / "speed.json"
    speed.main(pairs=400, matrix=200, dim=3, null=5, dims=(2,), repetitions=1, out=out)
    found = json.loads(out.read_text())
    assert found["ratio at the same size"] > 0
    assert "ratio to the matrix" in capsys.readouterr().out


def test_choices_as_recorded():
    """The spread of subsamples explains the published threshold in five dimensions to 2 %; and the
    way that was chosen sees no problem less often than unbiased values do, but by 1.5 sigma of 100
    repetitions.
    """
    study = read_json(DIRECTORY / "kernels.json")["study"]
    assert study["extrapolation"][0]["ratio_with_subsamples"] == pytest.approx(1, abs=0.02)
    ways = {(row["dim"], row["way"]): row for row in study["bandwidths"]}
    for dim in (2, 5):
        ours = ways[dim, "largest over quantile"]
        fuse = ways[dim, "unbiased, largest over spread"]
        for problem in ("shift", "width", "bump", "waves"):
            assert ours[problem] > fuse[problem] - 0.1
