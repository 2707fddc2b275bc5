"""The studies of two-sample statistics: their known truth is right, they run, and what they
recorded is what the pages say.
"""

import json

import numpy as np
import pytest
from scipy.stats import norm

from amplify.estimators.statistics import STATISTICS
from experiments import layouts, monitoring, thresholds, what_sees_what
from experiments.gaussian_mixtures import deformations, mixture
from experiments.known_differences import SHARE, distance_of, generators, middle, truth
from paper_figures.recorded import DIRECTORY


def test_the_published_mixture_is_made_again():
    """Centres, widths and shares in five dimensions, as arXiv:2409.16336 prints some of them."""
    model = mixture(5)
    centres = [-1.64198, -2.16874, -1.66604, 4.45801, 0.73881]
    np.testing.assert_allclose(model.centre[0], centres, atol=6e-6)
    np.testing.assert_allclose(model.width[2, 3:], [0.119987, 0.0077838], rtol=1e-5)
    np.testing.assert_allclose(model.share, [0.326380, 0.524345, 0.149275], atol=1e-6)
    assert mixture(20).centre.shape == (5, 20) and mixture(100).centre.shape == (10, 100)


@pytest.mark.parametrize("kind", ["mean", "width", "power", "noise"])
def test_densities_of_deformed_mixtures(kind):
    """The probability that a density gives to where it exceeds the truth, less that of the truth,
    is the distance that the ratio alone gives: events and densities belong together. Within five
    standard deviations, so once in a million by chance.
    """
    rng, n, eps = np.random.default_rng(3), 20_000, 0.02
    true, wrong = mixture(5), deformations(5)[kind]
    x, y = true.draw(rng, n), wrong.apply(true.draw(rng, n), eps, rng)
    log_x, log_y = (wrong.log_prob(events, eps) - true.log_prob(events) for events in (x, y))
    counted = (log_y > 0).mean() - (log_x > 0).mean()
    from_ratio = np.maximum(1 - np.exp(log_x), 0).mean()
    assert abs(counted - from_ratio) < 5 * np.sqrt(0.5 / n)
    assert counted > 0.02


def test_shuffled_columns_keep_their_values_and_lose_their_order():
    rng = np.random.default_rng(4)
    x = mixture(5).draw(rng, 5000)
    y = deformations(5)["correlation"].apply(x, 1.0, rng)
    np.testing.assert_allclose(np.sort(x, axis=0), np.sort(y, axis=0), atol=1e-12)
    before, after = (np.abs(np.corrcoef(z.T) - np.eye(5)).max() for z in (x, y))
    assert before > 0.5 and after < 5 / np.sqrt(5000)


@pytest.mark.parametrize("kind", generators(2))
def test_known_differences_are_as_large_as_they_say(kind):
    """Total variation by integration on a grid in two dimensions against that of events from the
    middle, within five standard deviations.
    """
    true, wrong = truth(2), generators(2)[kind]
    axis = np.linspace(-6, 7, 261)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    cell = (axis[1] - axis[0]) ** 2
    apart = np.exp(wrong.log_prob(grid)) - np.exp(true.log_prob(grid))
    exact = np.abs(apart).sum() * cell / 2
    assert exact > 0.03
    pool = middle(np.random.default_rng(5), true, wrong, 10_000)
    spread = pool.difference.std() * np.sqrt(len(pool.x)) / 2
    assert abs(distance_of(pool) - exact) < 5 * spread + 0.01 * exact
    assert abs(pool.difference.sum()) < 1e-12


def test_a_known_shift_is_worth_what_its_distance_is():
    """The largest KS over two columns sees a shift of one of them, whose distance is known."""
    config = what_sees_what.PRESETS["smoke"]
    pool = middle(np.random.default_rng(6), truth(2), generators(2)["shift"], 20_000)
    distances = STATISTICS["max_ks"].prepare(pool, 0)
    found = distances(pool.difference[None])[0]
    # (1 - SHARE) (2 Phi(shift / 2) - 1), where the mode does not change
    shift = 1.05 * SHARE * np.sqrt(2 * np.pi)
    np.testing.assert_allclose(found, (1 - SHARE) * (2 * norm.cdf(shift / 2) - 1), rtol=0.05)
    assert config.distance == 0.03


def test_times_of_drift_tubes():
    """Half a tube apart, two layers share the way: their times add up to that of half a tube."""
    x = monitoring.tracks(np.random.default_rng(7), 20_000)
    across = 21.0 / 0.054
    total = x[:, 0] + x[:, 1]
    assert abs(np.median(total) - across) < 0.1 * across
    slow = monitoring.tracks(np.random.default_rng(7), 20_000, monitoring.Fault(slower=0.05))
    np.testing.assert_allclose(slow[:, :4].mean() / x[:, :4].mean(), 1 / 0.95, rtol=0.01)


@pytest.mark.parametrize("module", [thresholds, what_sees_what, monitoring, layouts])
def test_studies_run_and_continue(module, tmp_path):
    path = module.main("smoke", tmp_path)
    first = json.loads(path.read_text())["study"]
    assert first
    parts = {part: part.stat().st_mtime_ns for part in (tmp_path / "parts").iterdir()}
    assert json.loads(module.main("smoke", tmp_path).read_text())["study"] == first
    assert parts == {part: part.stat().st_mtime_ns for part in (tmp_path / "parts").iterdir()}


def _recorded(name):
    return json.loads((DIRECTORY / f"{name}.json").read_text())["study"]


def test_thresholds_as_recorded():
    """The claims of docs/which_statistic: thresholds within 2 % of the published ones, or within
    two standard deviations where these are larger.
    """
    rows = _recorded("thresholds")["thresholds"]
    assert {row["dim"] for row in rows} == {5, 20, 100} and len(rows) == 15
    apart = [abs(row["ratio"] - 1) for row in rows]
    assert sum(value < 0.02 for value in apart) >= 13
    for row, value in zip(rows, apart, strict=True):
        assert value < max(0.02, 2 * np.hypot(row["error"], row["published_error"]))


def test_what_statistics_see_as_recorded():
    """The claims of docs/which_statistic: who is blind to what, and who sees blobs."""
    cells = _recorded("what_sees_what")["cells"]
    found = {(c["statistic"], c["dim"], c["difference"]): c["claimed_over_true"] for c in cells}
    for dim in (2, 5, 20, 100):
        assert min(found[name, dim, "correlation"] for name in ("mean_ks", "max_ks")) > 1000
        assert found["max_ks", dim, "shift"] < 4
    assert found["mean_ks", 100, "shift"] > 1000
    assert found["sliced_wasserstein", 20, "width"] > 200
    assert found["frechet", 5, "correlation"] < 5 < found["sliced_ks", 5, "correlation"] / 10
    assert found["gaussian_mmd", 100, "blob"] < 1


def test_false_alarms_as_recorded():
    """Of 1000 batches, at one in a hundred and one in twenty: not more than three errors above."""
    for cell in _recorded("monitoring")["cells"]:
        for rate, false in zip(cell["rates"], cell["false"], strict=True):
            assert false < rate + 3 * np.sqrt(rate * (1 - rate) / 1000)
