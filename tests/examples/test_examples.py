"""The generators that are shipped to be copied: they learn, keep the protocol, and say what they
need.

False alarms: seeds are fixed; means may differ by five standard errors of the training events
(1e-6), the other bounds are many errors wide.
"""

import sys
from functools import lru_cache

import numpy as np
import pytest

from amplify.errors import InputError, MissingExtraError
from amplify.examples import mixture, plain, torch_flow

PLAIN, MIXTURE, KERNELS, FLOW = (
    pytest.param(plain.fit, id="Gaussian"),
    pytest.param(mixture.fit, id="mixture"),
    pytest.param(mixture.fit_kde, id="kernels"),
    pytest.param(torch_flow.fit, id="PyTorch flow", marks=pytest.mark.slow),
)
ALL = [PLAIN, MIXTURE, KERNELS, FLOW]
PACKAGES = {mixture.__name__: "sklearn", torch_flow.__name__: "torch"}
N = 100_000


def _banana(n, seed, dtype=np.float64):
    z = np.random.default_rng(seed).normal(size=(n, 2))
    return np.stack([30 + 5 * z[:, 0], z[:, 0] ** 2 + 0.3 * z[:, 1]], axis=1).astype(dtype)


@pytest.fixture(autouse=True)
def packages(request):
    """A test of a generator whose framework is not installed is skipped."""
    fit = request.getfixturevalue("fit") if "fit" in request.fixturenames else plain.fit
    package = pytest.importorskip(PACKAGES.get(fit.__module__, "numpy"))
    if package.__name__ == "torch":
        # two that wait for each other on busy cores are twenty times slower than one
        package.set_num_threads(1)


@lru_cache
def _trained(fit):
    return fit(_banana(2000, 1, np.float32), 3)


@pytest.mark.parametrize("fit", ALL)
def test_learns_the_moments(fit):
    x, generated = _banana(2000, 1, np.float32), _trained(fit)(N, 4)
    assert generated.shape == (N, 2) and generated.dtype in (np.float32, np.float64)
    shift = np.abs(generated.mean(axis=0) - x.mean(axis=0))
    assert (shift < 5 * x.std(axis=0) / np.sqrt(len(x))).all()
    assert (np.abs(np.log(generated.std(axis=0) / x.std(axis=0))) < 0.1).all()


@pytest.mark.parametrize("fit", ALL[1:])
def test_flexible_ones_learn_more_than_moments(fit):
    """Two regions beside the banana are empty in truth and hold over 10 % of a Gaussian; a kernel
    density of one width smears a little into them.
    """
    generated, truth = _trained(fit)(N, 4), _banana(N, 2)
    gaussian = plain.fit(truth, 0)(N, 0)
    regions = (
        lambda x: x[:, 1] < -0.7,
        lambda x: (np.abs(x[:, 0] - 30) < 2.5) & (x[:, 1] > 1.5),
    )
    for region in regions:
        assert np.mean(region(truth)) < 0.01 and np.mean(region(gaussian)) > 0.1
        assert np.mean(region(generated)) < 0.05


@pytest.mark.parametrize("fit", [*ALL[:3], pytest.param(torch_flow.fit, id="PyTorch flow")])
def test_seeds_decide(fit, monkeypatch):
    monkeypatch.setattr(torch_flow, "STEPS", 20)
    x = _banana(100, 1, np.float32)
    before = x.copy()
    sample, again = fit(x, 3), fit(x, 3)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(sample(50, 4), again(50, 4))
    np.testing.assert_array_equal(sample(50, 4), sample(50, 4))
    assert not np.array_equal(sample(50, 4), sample(50, 5))
    if fit in (mixture.fit, torch_flow.fit):
        assert not np.array_equal(sample(50, 4), fit(x, 7)(50, 4))  # another start


@pytest.mark.parametrize("fit", [PLAIN, KERNELS, FLOW])
def test_weights_move_the_sample(fit):
    """Weights exp(z) make the N(0, 1) under x0 an N(1, 1)."""
    x = _banana(4000, 1)
    weight = np.exp((x[:, 0] - 30) / 5)
    mean = np.average(x[:, 0], weights=weight)
    generated = fit(x, 3, weight)(N, 4)
    assert mean > 34 and abs(generated[:, 0].mean() - mean) < 1


@pytest.mark.parametrize("fit", [PLAIN, MIXTURE, KERNELS])
def test_one_column(fit):
    x = _banana(500, 1)[:, :1]
    assert fit(x, 0)(10, 1).shape == (10, 1)


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "sklearn.mixture", None)
    monkeypatch.setitem(sys.modules, "sklearn.neighbors", None)
    for fit, words in (
        (torch_flow.fit, "pip install torch"),
        (mixture.fit, "pip install scikit-learn"),
        (mixture.fit_kde, "pip install scikit-learn"),
    ):
        with pytest.raises(MissingExtraError, match=words):
            fit(_banana(10, 0), 0)


def test_a_flow_needs_two_columns():
    pytest.importorskip("torch")
    words = r"2 or more columns, got 1; take amplify\.examples\.mixture:fit"
    with pytest.raises(InputError, match=words):
        torch_flow.fit(_banana(10, 0)[:, :1], 0)
