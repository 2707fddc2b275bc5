"""Several generators against one holdout: estimates against the rooms they come from, resolution
and batches against closed forms.
"""

import numpy as np
import pytest
from scipy import stats

from amplify.analysis.compare import compare
from amplify.analysis.compare_batches import monitored
from amplify.analysis.compare_question import of_each
from amplify.analysis.compare_resolution import _tilts, resolution
from amplify.analysis.compare_samples import about_units
from amplify.analysis.compare_streams import larger
from amplify.errors import InputError
from amplify.estimators.combined import combined
from amplify.estimators.permutations import permute
from amplify.estimators.statistics import STATISTICS, Statistic, pooled
from amplify.estimators.statistics.columns import mean_ks
from amplify.report import compare_page
from amplify.results.result import Result
from amplify.results.schema import fault
from amplify.types import Events

K1 = 0.868731
KS = STATISTICS["mean_ks"]


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(1)
    near, far = (rng.normal(shift, 1, (1500, 1)) for shift in (0.15, 0.5))
    return {"near": near, "far": far}, rng.normal(size=(1500, 1))


@pytest.fixture(scope="module")
def found(samples):
    generated, holdout = samples
    settings = {"statistics": ["mean_ks", "max_ks"], "permutations": 199, "local": False}
    return compare(generated, holdout, n_train=[100, 200], level=0.9, **settings)


def test_n_equiv_of_known_densities(found):
    """D of N(s, 1) is 2 Phi(s / 2) - 1; 90 % intervals, seed fixed."""
    for record, shift in zip(found["mean_ks"], (0.15, 0.5), strict=True):
        distance = 2 * stats.norm.cdf(shift / 2) - 1
        low, high = record["n_equiv_interval"]
        assert low < (K1 / distance) ** 2 < (np.inf if high is None else high)
        n_train = 100 if shift == 0.15 else 200
        assert record["amplification"] == pytest.approx(record["n_equiv"] / n_train)


def test_values_and_p_are_those_of_the_estimators(found, samples):
    generated, holdout = samples
    nulls = permute([KS, STATISTICS["max_ks"]], generated["far"], holdout, permutations=199)
    record = found["mean_ks"][1]
    exact = stats.ks_2samp(generated["far"][:, 0], holdout[:, 0]).statistic
    assert record["value"] == pytest.approx(np.sqrt(750) * exact)
    assert record["p"] == nulls["mean_ks"].p
    assert found.view["generators"][1]["p_combined"] == combined(nulls)["cauchy"].p


def test_the_nearer_generator_is_first(found):
    pairs = {pair["statistic"]: pair for pair in found.view["ranking"]}
    assert pairs["mean_ks"]["closer"] == "near" and pairs["mean_ks"]["sigma"] > 3
    assert "near is closer to the truth than far, by" in found.verdict
    assert found.view["multiclass"]["nearest"] == "near"


def test_results_are_what_the_schema_says_and_come_back(found):
    contents = found.to_dict()
    assert fault(contents) is None
    again = Result.from_json(contents)
    assert str(again) == str(found) and again.to_dict() == contents
    with pytest.raises(InputError, match="one of mean_ks, max_ks"):
        found["nothing"]


def test_all_events_of_a_large_sample_are_looked_at(samples):
    """The value is that of all events, and its interval narrower than that of a part."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.15, 1, (20_000, 1)), rng.normal(size=(10_000, 1))
    settings = {"statistics": ["mean_ks"], "permutations": 99, "local": False, "level": 0.9}
    found = compare(x, y, n_train=100, most=1000, **settings)
    (record,) = found["mean_ks"]
    assert record["p"] == 0.01
    assert any("approximate on the scale of all events" in said for said in found.warnings)
    exact = stats.ks_2samp(x[:, 0], y[:, 0]).statistic
    assert record["streamed"] and record["n_gen_used"] == 20_000
    assert record["value"] == pytest.approx(np.sqrt(2e4 / 3) * exact)
    low, high = record["n_equiv_interval"]
    truth = (K1 / (2 * stats.norm.cdf(0.075) - 1)) ** 2
    assert low < truth < high < 2 * low


def test_the_noise_of_more_events_is_smaller(samples):
    generated, holdout = samples
    null = permute([KS], generated["near"][:200], holdout[:200], permutations=199)["mean_ks"]
    more = larger(null, 0.1, 20_000.0, 20_000.0)
    assert more.permuted == pytest.approx(null.permuted / 10)
    assert more.distances(more.pool.difference[None])[0] == pytest.approx(0.1)
    assert more.part.relabelled(0, 2) == pytest.approx(null.part.relabelled(0, 2) / 10)


def _difference_of_means(pool, seed):
    return lambda differences: np.abs(differences @ pool.x[:, 0])


def test_the_resolution_of_a_difference_of_means():
    """Density phi(x) (1 + a tanh(x)): the mean moves by a E[x tanh x], the total variation is a
    E|tanh x| / 2. Chances of 400 experiments, within .1 (4 standard deviations).
    """
    rng = np.random.default_rng(3)
    n = 1000
    x, y = rng.normal(size=(2, n, 1))
    means = Statistic("means", "means", 1, _difference_of_means)
    null = permute([means], x, y, permutations=999)["means"]
    seen = resolution(null, experiments=400)
    z = stats.norm.ppf((np.arange(10_000) + 0.5) / 10_000)
    moved = seen.sizes * 2 * np.mean(z * np.tanh(z)) / np.mean(np.abs(np.tanh(z)))
    shift = moved / np.sqrt(2 / n)
    expected = stats.norm.cdf(shift - 1.96) + stats.norm.cdf(-shift - 1.96)
    assert seen.chance == pytest.approx(np.maximum.accumulate(expected), abs=0.1)
    assert seen.tv_50 == pytest.approx(np.interp(0.5, expected, seen.sizes), rel=0.15)
    for size, asked in ((seen.tv_50, 0.5), (seen.tv_90, 0.9)):
        assert np.interp(np.log(size), np.log(seen.sizes), seen.chance) == pytest.approx(asked)


def test_tilts_have_the_total_variation_that_they_say():
    rng = np.random.default_rng(4)
    pool = pooled(rng.normal(size=(300, 3)), rng.gamma(2, size=(200, 3)), rng.gamma(2, size=300))
    tilts, largest = _tilts(pool, 5, seed=0)
    assert 0.5 * np.abs(tilts).sum(axis=1) == pytest.approx(np.ones(5))
    assert tilts.sum(axis=1) == pytest.approx(np.zeros(5), abs=1e-12)
    assert (pool.weight + largest * tilts > -1e-12).all()


@pytest.fixture(scope="module")
def stream():
    rng = np.random.default_rng(5)
    reference = Events(rng.normal(size=(2000, 2)))
    shifts = np.where(np.arange(200) % 50 == 7, 1.0, 0.0)
    return [Events(rng.normal(shift, 1, (100, 2))) for shift in shifts], reference


def test_batches_have_the_value_of_each_alone(stream):
    batches, reference = stream
    for name in ("mean_ks", "mean_wasserstein"):
        statistic = STATISTICS[name]
        few = batches[:30]
        (seen,) = monitored(
            [statistic], lambda few=few: iter(few), reference, count=30, experiments=30
        )
        pool = pooled(few[7].x, reference.x)
        alone = float(statistic.prepare(pool, 0)(pool.difference[None])[0])
        # a width of the pool is that of half of the reference in a stream: 3 standard deviations
        assert seen.values[7] == pytest.approx(statistic.quoted(alone, pool), rel=0.07)


def test_alarms_at_the_rate_that_was_asked_for(stream):
    """196 batches like the reference at 10 %: 5 standard deviations; four others are all found."""
    batches, reference = stream
    (seen,) = monitored(
        [KS], lambda: iter(batches), reference, count=200, false_alarms=0.1, experiments=600
    )
    wrong = np.arange(200) % 50 == 7
    alarms = np.isin(np.arange(200), seen.alarms)
    assert alarms[wrong].all()
    assert abs(alarms[~wrong].mean() - 0.1) < 5 * np.sqrt(0.09 / 196)
    assert ((seen.p <= 0.1) == alarms).mean() > 0.99 and (seen.p[wrong] == 1 / 601).all()


def test_events_of_weight_two_are_two_events(stream):
    batches, reference = stream
    few = batches[0].x[:50]
    pairs = [Events(np.repeat(few, 2, axis=0)), Events(few, np.full(50, 2.0))]
    values = [
        monitored([KS], lambda b=b: iter([b]), reference, count=1, experiments=5)[0].values[0]
        / np.sqrt(len(b.x) * 2000 / (len(b.x) + 2000))
        for b in pairs
    ]
    assert values[0] == pytest.approx(values[1])


def test_weights_reach_the_statistics():
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(2, 300, 2))
    weight = rng.exponential(size=300)
    settings = {"statistics": ["mean_ks"], "permutations": 19, "local": False}
    (record,) = compare(Events(x, weight), y, n_train=10, **settings)["mean_ks"]
    assert record["value"] == pytest.approx(mean_ks(x, y, weight_x=weight))
    assert record["n_gen_used"] == pytest.approx(weight.sum() ** 2 / (weight**2).sum())


def test_a_constant_column_and_ties_are_no_reason_to_stop():
    rng = np.random.default_rng(7)
    x = np.stack([np.zeros(60), rng.integers(0, 3, 60)], axis=1).astype(float)
    y = np.stack([np.zeros(60), rng.integers(0, 3, 60)], axis=1).astype(float) + 1e-9
    names = ["mean_ks", "mean_wasserstein", "gaussian_mmd"]
    found = compare(x, y, n_train=10, permutations=19, statistics=names)
    assert fault(found.to_dict()) is None and "closest" not in found.verdict


@pytest.mark.parametrize("n_train", [np.int64(500), 500.0, np.float32(500), [500], np.array([500])])
def test_training_events_are_a_whole_number(n_train):
    given = of_each(n_train, 1)
    assert given == (500,) and type(given[0]) is int


@pytest.mark.parametrize("n_train", [2.5, "500", True, None, np.nan, [500, "7"], np.bool_(1)])
def test_training_events_that_are_none(n_train):
    with pytest.raises(InputError, match="--n-train: expected a whole number, got"):
        of_each(n_train, 2)


def test_no_statistics_are_not_all_of_them(samples):
    generated, holdout = samples
    with pytest.raises(InputError, match="--statistics: expected at least one, got none"):
        compare(generated, holdout, n_train=100, statistics=[])


def test_units_of_columns_decide_what_slices_see():
    rng = np.random.default_rng(8)
    true = Events(rng.normal(size=(500, 3)) * [1.0, 15.0, 0.0])
    (said,) = about_units(["eta", "pt", "0"], true, ["mean_ks", "sliced_ks"])
    widths = np.diff(np.quantile(true.x, [0.16, 0.84], axis=0), axis=0)[0]
    assert (
        f"pt is {widths[1] / widths[0]:.3g} times as wide as eta" in said
        and "sliced_ks looks" in said
    )
    assert about_units(["eta", "pt", "0"], true, ["mean_ks", "energy"]) == []
    alike = Events(true.x * [1.0, 0.5, 1.0])
    assert about_units(["eta", "pt", "0"], alike, ["sliced_ks"]) == []


def test_the_page_of_a_certain_p(found, monkeypatch):
    """p = 1 is z = -inf: results.json has null there, as for all that is not finite, and the page
    a dash.
    """
    monkeypatch.setattr(compare_page, "_svgs", lambda results: {"comparison": []})
    results = found.to_dict()
    page = compare_page.comparison_page(results)
    view = results["comparison"]
    view["generators"][0]["z_combined"] = None
    view["statistics"][0] |= {"chance_at_1_percent": None, "threshold": None}
    view["multiclass"]["error"][0] = view["multiclass"]["log_posterior"][0] = None
    dash = "<td>\N{EN DASH}</td>"
    assert compare_page.comparison_page(results).count(dash) == page.count(dash) + 5


def test_all_statistics_together_are_those_of_the_part_that_all_look_at():
    """A shift that 20 000 events show and 1000 do not: the permutations are those of the latter."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.06, 1, (20_000, 1)), rng.normal(size=(10_000, 1))
    found = compare(
        x, y, n_train=100, most=1000, statistics=["mean_ks"], permutations=99, local=False
    )
    assert found["mean_ks"][0]["p"] == 0.01
    assert found.view["generators"][0]["p_combined"] > 0.05


def test_all_events_are_on_the_scale_of_their_own_distance():
    """The difference of the part, as long as that of all events, in a squared distance too."""
    square = Statistic(
        "square", "squared means", 2, lambda pool, seed: lambda d: ((d @ pool.x) ** 2).sum(axis=1)
    )
    x, y = np.random.default_rng(3).normal([[[0.5]], [[0.0]]], 1, (2, 200, 1))
    null = permute([square], x, y, permutations=20)["square"]
    seen = larger(null, 0.3, 20_000.0, 10_000.0)
    assert seen.distances(seen.pool.difference[None])[0] == pytest.approx(0.3)
    # noise of samples n_s = 100 that is now that of 6667
    np.testing.assert_allclose(seen.permuted * 20_000 / 3, null.permuted * 100)


def test_statistics_that_see_different_parts_share_the_permutations(samples, monkeypatch):
    generated, holdout = samples
    monkeypatch.setitem(STATISTICS, "max_ks", STATISTICS["max_ks"]._replace(most=300))
    settings = {"statistics": ["mean_ks", "max_ks"], "permutations": 19, "local": False}
    found = compare(generated["far"], holdout, n_train=100, **settings)
    assert found.view["generators"][0]["p_combined"] == 0.05
