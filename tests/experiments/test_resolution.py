"""G by resolution: closed forms, and the study made short."""

import json

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from amplify.estimators.kolmogorov import K1
from experiments import resolution


def test_fitted_gaussian_by_resolution():
    """Fine bins see both parameters, k = 2, and the differential G of mean and width: 2 pi K1^2 /
    E[s]^2 with s^2 = z^2 + (z^2 - 1)^2 / 2 of the two scores. One cut in the middle sees the mean
    alone.
    """
    halves = resolution.fitted_gaussian(2, 1000)
    assert halves["averaging"] == pytest.approx(np.pi / 2, rel=1e-6)
    assert halves["differential"] == pytest.approx(np.pi**3 * np.log(2) ** 2 / 2, rel=1e-6)
    # reference 5b of docs/method: ten bins, outermost to central
    of_bins = 1 / np.array([1.6045, 8.2042, 14.9814, 17.7871, 18.1859])
    assert resolution.fitted_gaussian(10, 50)["averaging"] == pytest.approx(
        1 / of_bins.mean(), rel=1e-4
    )
    finest = resolution.fitted_gaussian(1_000_000, 1000)
    assert finest["k"] == pytest.approx(2, rel=1e-4)
    score = quad(lambda z: norm.pdf(z) * np.hypot(z, (z**2 - 1) / np.sqrt(2)), -10, 10)[0]
    assert finest["differential"] == pytest.approx(2 * np.pi * K1**2 / score**2, rel=1e-4)
    assert finest["differential"] == pytest.approx(3.654, rel=2e-3)  # reference 7, n = 1000


def test_worth_of_true_events():
    """Samples of n true events as generators have G averaging = 1 at all resolutions, k = N - 1;
    noise in both halves is taken off. 4 sigma: 6e-5.
    """
    rng = np.random.default_rng(0)
    n, bins, sets = 1000, 20, 2000
    deviation = rng.multinomial(n, np.full(bins, 1 / bins), sets)[:, None] / n - 1 / bins
    halves = [deviation + rng.normal(0, 2e-3, deviation.shape) for _ in (0, 1)]
    squares, distances = resolution._moments(*halves)
    worth = resolution._worth(squares, distances, bins, n)
    assert worth["averaging_measured"] == pytest.approx(1, abs=4 * np.sqrt(2 / 19 / sets))
    exact = np.abs(deviation).sum(axis=-1).mean() / 2
    assert distances.mean() == pytest.approx(exact, rel=0.02)
    assert np.abs(sum(halves) / 2).sum(axis=-1).mean() / 2 > 1.01 * exact  # what it corrects


def test_resolutions():
    assert resolution.numbers(100) == [2, 3, 5, 10, 20, 30, 50, 100]
    assert resolution.sides(2, 10_000)[-1] == 100 and resolution.sides(4, 10_000)[-1] == 10


@pytest.mark.slow
def test_the_study_runs_and_continues(tmp_path):
    path = resolution.main("smoke", tmp_path)
    first = path.read_text()
    found = json.loads(first)["study"]
    closed = np.array(found["gaussian"]["averaging"])
    # twenty fits: 1.4 expected of a mean of squares that scatters by a third
    np.testing.assert_allclose(found["gaussian"]["averaging_measured"], closed, rtol=0.7)
    case = found["d2-n300"]
    for view in case["views"].values():
        distance = np.array(view["differential"]["value"])
        # D_N grows to that of the densities: their G is the limit from above
        assert (distance > 0.9 * case["differential_limit"]["value"]).all()
        assert len(view["bins"]) == len(view["k"]) == len(distance)
    path.unlink()
    assert resolution.main("smoke", tmp_path).read_text() == first
