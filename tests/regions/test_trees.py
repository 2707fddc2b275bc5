"""Boxes by successive quantiles, against brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify import averaging_amplification, member_integrals
from amplify import regions as rg
from amplify.errors import InputError
from amplify.generators.fitted_gaussian import GaussianParams, fitted_gaussian


def _brute_force(x, bins):
    """Sorts and cuts as numpy.quantile's inverted_cdf, box by box."""
    if not bins:
        return [np.arange(len(x))]
    inner = np.quantile(x[:, 0], np.arange(1, bins[0]) / bins[0], method="inverted_cdf")
    slab = (x[:, :1] >= inner).sum(axis=1)
    return [
        np.flatnonzero(slab == k)[box]
        for k in range(bins[0])
        for box in _brute_force(x[slab == k, 1:], bins[1:])
    ]


@pytest.mark.parametrize("bins", [(7,), (3, 5), (2, 1, 4), (4, 3, 2)])
def test_boxes_are_those_of_brute_force(bins):
    x = np.random.default_rng(0).exponential(size=(1000, len(bins))).astype(np.float32)
    boxes = rg.quantile_tree(x, bins)
    table = boxes.contains(x)
    wanted = _brute_force(x, list(bins))
    assert len(boxes.labels) == len(set(boxes.labels)) == len(wanted) == np.prod(bins)
    for box, events in zip(table.T, wanted, strict=True):
        np.testing.assert_array_equal(np.flatnonzero(box), events)
    np.testing.assert_array_equal(np.asarray(boxes.contains(jnp.asarray(x))), table)
    np.testing.assert_array_equal(rg.count(boxes, x).n_inside, table.sum(axis=0))
    weight = np.random.default_rng(1).normal(size=1000)  # of either sign
    np.testing.assert_allclose(rg.count(boxes, x, weight).weight_inside, weight @ table, atol=1e-12)
    # the first cut takes one event more or less of the shares of the others
    assert np.ptp(table.sum(axis=0)) <= len(bins)


def test_boxes_of_observables_of_weighted_events_of_anything():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4000, 2)).astype(np.float32)
    weight = rng.exponential(size=4000)
    names = ["r", "x1"]
    boxes = rg.quantile_tree(x, [4, 3], [rg.radius, 1], names=names, weight=weight)
    assert boxes.labels[0].startswith("r < ") and " and x1 < " in boxes.labels[0]
    share = rg.count(boxes, x, weight).weight_inside / weight.sum()
    np.testing.assert_allclose(share, 1 / 12, atol=5 * weight.max() / weight.sum())
    odd = np.array([[np.nan, 0], [0, np.nan], [np.inf, 0], [0.1, 0.1]], np.float32)
    assert boxes.contains(odd).sum(axis=1).tolist() == [0, 0, 0, 1]
    assert rg.count(boxes, odd).n_inside.sum() == 1


def test_ten_thousand_boxes_are_counted_and_estimated():
    """Without a table of 20 000 times 10 000 booleans."""
    x = np.random.default_rng(3).normal(size=(20_000, 2))
    boxes = rg.quantile_tree(x, 100)
    np.testing.assert_array_equal(rg.count(boxes, x).n_inside.sum(), 20_000)
    few = rg.quantile_tree(x, 3)
    means = 0.1 * np.random.default_rng(4).normal(size=(4, 2))
    params = GaussianParams(mean=jnp.asarray(means), log_width=jnp.zeros((4, 2)))
    integrals = member_integrals(jax.random.key(0), fitted_gaussian(2), params, few, 1 << 10)
    np.testing.assert_allclose(integrals.integral.sum(axis=1), 1)
    estimate = averaging_amplification(integrals.integral, n_train=100, n_gen=integrals.n_gen)
    assert estimate.n_equiv.value.shape == (9,)


@pytest.mark.parametrize(
    ("bins", "columns", "words"),
    [
        ((2, 2), [0], "one number"),
        (1, [0, 1], "one number"),
        (200, [0, 1], "20000"),
        ((50, 50), [0, 1], "an event for every box"),
        (3, [2], "repeated values"),
    ],
)
def test_what_is_no_tree_is_refused(bins, columns, words):
    x = np.random.default_rng(5).normal(size=(100, 3)) * [1, 1, 0]
    with pytest.raises(InputError, match=words):
        rg.quantile_tree(x, bins, columns)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"columns": [5]}, "columns of a quantile tree: expected observables, or places below 2"),
        ({"weight": np.ones(3)}, "weights of a quantile tree"),
    ],
)
def test_other_columns_and_weights_are_refused(more, words):
    with pytest.raises(InputError, match=words):
        rg.quantile_tree(np.zeros((10, 2)), 2, **more)
    with pytest.raises(InputError, match="shape"):
        rg.quantile_tree(np.zeros(10), 2)
