"""The forecast from subsamples, from training data to words: a fitted Gaussian in NumPy, whose G is
known (docs/method, Reference numbers, 5b).
"""

import numpy as np
import pytest
from scipy.stats import norm

from amplify.analysis.forecast_amplification import forecast_amplification
from amplify.analysis.forecast_goals import Goals, check_reach
from amplify.analysis.subsample_trainings import Trained
from amplify.errors import InputError
from amplify.regions import bins, column, join, tail
from amplify.results.forecasts import FORECAST
from amplify.results.result import Result
from amplify.results.schema import fault
from amplify.text import number
from amplify.types import Events

TAIL = tail(column(0), 0.0, "x")  # G = pi / 2
SIZES = {"parts": (8, 4, 2), "n_gen": 4000}


def fit(x, seed):
    mean, width = x.mean(axis=0), x.std(axis=0)
    return lambda n, seed: np.random.default_rng(seed).normal(mean, width, (n, x.shape[1]))


def trainings(x, sizes=(100, 200, 400)):
    """With densities, on consecutive pieces."""
    for k in sizes:
        for m in range(min(8, len(x) // k)):
            mine = x[m * k : (m + 1) * k]
            mean, width = mine.mean(), mine.std()
            generated = np.random.default_rng([k, m]).normal(mean, width, (20_000, 1))
            yield Trained(
                k,
                slice(m * k, (m + 1) * k),
                Events(generated),
                lambda y, mean=mean, width=width: norm.logpdf(y[:, 0], mean, width),
            )


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(5).normal(size=(1600, 1))


@pytest.fixture(scope="module")
def forecast(x):
    regions = join(TAIL, bins(column(0), [-np.inf, -0.5, 0.5, np.inf], "x"))
    return forecast_amplification(
        trainings(x), x, regions=regions, log_prob_true=lambda y: norm.logpdf(y[:, 0])
    )


def test_numbers_and_words(forecast):
    """In x > 0 G is pi / 2; the 90 % interval of this seed holds it, nine of ten others' would."""
    record = forecast["x >= 0"]
    assert record["n_train"] == 1600 and record["status"] == "resolved"
    low, high = record["amplification_interval"]
    assert low < np.pi / 2 < high and high / low < 20
    least, most = record["amplification_bounds"]
    assert least < low and high < most
    view = forecast.views[FORECAST]
    assert view["trainings"] == [[100.0, 8], [200.0, 8], [400.0, 4]]
    assert [region["region"] for region in view["regions"]] == list(forecast.labels)
    said = f"In x >= 0 a generator trained on {number(1600)} events will be worth"
    assert record["verdict"].startswith(said)
    distance = forecast.records[-1]
    assert distance["method"] == "differential" and distance["n_equiv"] > 0
    assert "D falls as n^-" in distance["verdict"]
    assert forecast.verdict.startswith("Forecast from 20 trainings on 100 to 400 events:")
    assert "for G = 10" in str(forecast)


def test_what_a_precision_takes(forecast):
    """An error of 1 % is sigma_model at the size that is said, on the curve of the region."""
    region = forecast.views[FORECAST]["regions"][0]
    value, low, high = region["for_precision"]
    assert low <= value <= (high or np.inf)
    curve = region["curve"]
    at_value = np.exp(np.interp(np.log(value), np.log(curve["n"]), np.log(curve["sigma"])))
    integral = forecast.records[0]["integral"]
    assert at_value == pytest.approx(0.01 * integral, rel=0.1)


def test_results_json(forecast, tmp_path):
    results = forecast.to_dict()
    assert fault(results) is None
    forecast.to_json(tmp_path / "results.json")
    again = Result.from_json(tmp_path / "results.json")
    assert again["x >= 0"]["amplification"] == forecast["x >= 0"]["amplification"]
    assert again.views[FORECAST]["goals"]["factor"] == 10


def test_a_function_in_this_process_and_the_same_bits(x):
    """A learned ratio only says "fewer than", or nothing."""
    given = {"regions": TAIL, "seed": 3, **SIZES}
    first, second = (forecast_amplification(fit, x, **given).to_dict() for _ in range(2))
    assert first == second
    assert first["estimates"][1]["status"] in ("upper_limit", "unresolved")
    assert [count for _, count in first[FORECAST]["trainings"]] == [8, 4, 2]
    other = forecast_amplification(fit, x, regions=TAIL, seed=4, differential=False, **SIZES)
    assert other["x >= 0"]["amplification"] != first["estimates"][0]["amplification"]
    assert len(other.records) == 1


def test_more_training_events_than_there_are(x):
    """N times as many events with exponents near regular ones: sigma_model falls."""
    now, later = (
        forecast_amplification(
            trainings(x), x, regions=TAIL, differential=False, goals=Goals(n_train=n)
        )["x >= 0"]
        for n in (1600, 6400)
    )
    assert later["n_train"] == 6400
    assert later["sigma_model"] < now["sigma_model"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"parts": (2,)}, "--parts: expected at least two different ones"),
        ({"trainings": 1}, "--trainings: expected at least 2 of each size, got 1"),
        ({"goals": Goals(factor=0)}, "--target-factor: expected a number above zero, got 0"),
        ({"goals": Goals(exponent=2)}, "--exponent: expected between 0 and 1, got 2"),
        ({"log_prob_true": lambda y: y[:, 0]}, "expected generators with a log density"),
    ],
)
def test_what_makes_no_sense(x, more, words):
    with pytest.raises(InputError, match=words):
        forecast_amplification(fit, x, **({"regions": TAIL} | SIZES | more))


def test_too_few_events():
    with pytest.raises(InputError, match="enough for subsamples of 100 and twice as many, got 300"):
        forecast_amplification(fit, np.random.default_rng(0).normal(size=(300, 1)))


def test_what_cannot_be_told_is_refused_before_anything_is_trained():
    with pytest.raises(InputError, match="some with values to bin, got one value in x0"):
        forecast_amplification(fit, np.ones((2000, 1)))
    with pytest.raises(InputError, match="--n-train: expected at most 1000 times the 2000"):
        check_reach(2_000_001, 2000)
