"""Covariances, workspaces of pyhf and histograms: against closed forms and the packages that read
them.
"""

import json

import numpy as np
import pytest
from scipy.stats import norm

import amplify
from amplify.errors import InputError
from amplify.report.export import fit_inputs, write_exports
from amplify.results.fit_inputs import channel_regions

N_TRAIN, MEMBERS = 2000, 40


@pytest.fixture(scope="module")
def result():
    """Independent trainings of a Gaussian with fitted mean and width."""
    rng = np.random.default_rng(0)
    means = rng.normal(0, 1 / np.sqrt(N_TRAIN), MEMBERS)
    widths = 1 + rng.normal(0, 1 / np.sqrt(2 * N_TRAIN), MEMBERS)
    members = [rng.normal(m, w, (20_000, 1)) for m, w in zip(means, widths, strict=True)]
    return amplify.averaging(members, n_train=N_TRAIN)


def closed_form(result):
    """Covariance of the fractions in the ten bins, at leading order in 1 / n_train."""
    edges = result.to_dict()["binnings"][0]["edges"]
    a = np.array([-np.inf, *edges[1:-1], np.inf], float)
    of_mean = np.diff(norm.pdf(a))
    finite = np.nan_to_num(a, posinf=0, neginf=0)
    of_width = np.diff(finite * norm.pdf(a))
    return (np.outer(of_mean, of_mean) + np.outer(of_width, of_width) / 2) / N_TRAIN


def test_covariance_is_that_of_the_trainings(result):
    """40 members fix a variance to 23 %, and both directions in which the fit can err: the traces
    agree within 60 %, more than three standard deviations.
    """
    found, truth = result.covariance(), closed_form(result)
    assert found.regions == result.labels and found.members == MEMBERS
    model = found.model[:10, :10]
    assert 0.5 < np.trace(model) / np.trace(truth) < 1.6
    assert np.sum(model * truth) / np.linalg.norm(model) / np.linalg.norm(truth) > 0.9
    assert np.linalg.eigvalsh(found.model).min() > -1e-12
    np.testing.assert_allclose(found.integral, result.estimate.integral)


def test_the_noise_is_multinomial(result):
    stat, share = result.covariance().stat, result.estimate.integral
    expected = (np.diag(share) - np.outer(share, share))[:10, :10] / 20_000
    np.testing.assert_allclose(stat[:10, :10], expected, rtol=0.05, atol=2e-8)
    np.testing.assert_allclose(np.diag(stat), result.estimate.sigma_stat**2)
    # the lower tail is part of the first bin
    assert stat[0, 10] > 0 > stat[5, 10]


def test_covariance_survives_json_and_differential_has_none(result):
    again = amplify.Result.from_json(json.loads(json.dumps(result.to_dict())))
    np.testing.assert_allclose(again.covariance().model, result.covariance().model)
    rng = np.random.default_rng(1)
    other = amplify.differential(
        rng.normal(size=(5000, 1)), rng.normal(size=(500, 1)), n_train=100, summary="column:x0"
    )
    for call in (other.covariance, other.to_pyhf):
        with pytest.raises(InputError, match="differential"):
            call()
    assert set(other.to_hist()) == {"generated/x0", "holdout/x0"}


@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver")
@pytest.mark.parametrize("kind", ["staterror", "histosys", "normsys"])
def test_workspaces(result, kind):
    """Channels share no events, and counts and uncertainties are those of the result."""
    workspace = result.to_pyhf(kind, events=1000)
    regions = channel_regions(result.to_dict(), kind)
    assert [len(r) for r in regions.values()] == ([1] * 12 if kind == "normsys" else [10, 2])
    channel = workspace["channels"][0]["samples"][0]
    np.testing.assert_allclose(channel["data"][0], 1000 * result.estimate.integral[0])
    modifiers = channel["modifiers"][1:]
    sigma = 1000 * result.estimate.sigma_model.value
    if kind == "staterror":
        np.testing.assert_allclose(modifiers[0]["data"], sigma[:10])
    elif kind == "normsys":
        assert modifiers[0]["data"]["hi"] == pytest.approx(1 + sigma[0] / channel["data"][0])
    else:
        steps = [np.array(m["data"]["hi_data"]) - channel["data"] for m in modifiers]
        together = sum(np.outer(step, step) for step in steps)
        np.testing.assert_allclose(together, 1e6 * result.covariance().model[:10, :10], atol=1e-3)
    pyhf = pytest.importorskip("pyhf")
    model = pyhf.Workspace(workspace).model()  # validates against its schema
    assert model.config.poi_name == "mu"


def test_histograms(result):
    made = result.to_hist()
    assert list(made) == ["regions/x0", "generated/x0"]
    storage = made["regions/x0"]["storage"]
    np.testing.assert_allclose(storage["values"], result.estimate.integral[:10])
    np.testing.assert_allclose(storage["variances"], result.estimate.sigma_model.value[:10] ** 2)
    axis = made["regions/x0"]["axes"][0]
    assert len(axis["edges"]) == 9 and axis["underflow"] and axis["overflow"]
    serialization = pytest.importorskip("boost_histogram.serialization")
    histogram = serialization.from_uhi(made["regions/x0"])
    assert histogram.values(flow=True).sum() == pytest.approx(1)


def test_named_regions_are_a_category_axis():
    rng = np.random.default_rng(2)
    members = [rng.normal(0.1 * rng.normal(), 1, (2000, 1)) for _ in range(8)]
    both = amplify.regions.join(
        amplify.regions.box([0], [1], "low"), amplify.regions.box([0.5], [2], "high")
    )
    found = amplify.averaging(members, both, n_train=100)
    assert found.to_hist()["regions"]["axes"][0]["categories"] == ["low", "high"]
    assert [len(c["samples"][0]["data"]) for c in found.to_pyhf()["channels"]] == [1, 1]


def test_files_beside_results(result, tmp_path):
    write_exports(result.to_dict(), tmp_path)
    names = {"covariance.json", "pyhf.json", "histograms.json"}
    assert names < {path.name for path in tmp_path.iterdir()}
    stored = json.loads((tmp_path / "covariance.json").read_text())
    np.testing.assert_allclose(stored["model"], result.covariance().model)
    uhi = pytest.importorskip("uhi.schema")
    uhi.validate(json.loads((tmp_path / "histograms.json").read_text()))
    without = {k: v for k, v in result.to_dict().items() if k != "members_in_regions"}
    assert set(fit_inputs(without)) == {"histograms.json"}


def test_conditions_share_no_events():
    rng = np.random.default_rng(3)
    condition = rng.choice([1.0, 2.0], 4000)
    members = [
        np.column_stack([rng.normal(0.1 * rng.normal(), 1, 4000), condition]) for _ in range(6)
    ]
    found = amplify.averaging(members, n_train=500, condition="x1", bins=3)
    stat = found.covariance().stat
    assert (stat[:3, 3:] == 0).all() and (stat[0, 1:3] < 0).all()
    assert list(found.to_hist())[:2] == ["regions/x1 = 1: x0", "regions/x1 = 2: x0"]
    assert list(channel_regions(found.to_dict()).values()) == [
        [*found.labels[:3]],
        [*found.labels[3:]],
    ]
