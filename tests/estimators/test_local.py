"""Places where two samples differ: found where they are, and nowhere else."""

from itertools import combinations

import numpy as np
import pytest

from amplify.analysis.local_test import where_it_is_wrong
from amplify.estimators.boxes import are_few, candidate_boxes, chosen_subsets, subsets_of
from amplify.estimators.local import local_test, step_down
from amplify.types import Events


def _with_blob(rng, n, dim, share=0.04):
    """Events of which some are in a narrow blob in the first two columns."""
    x = rng.normal(size=(n, dim))
    count = int(share * n)
    x[:count, :2] = rng.normal([0.9, -0.9], 0.12, (count, 2))
    return x


def test_boxes_hold_the_events_between_their_ends():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(500, 3)), rng.uniform(0.5, 1.5, 500)
    x[:, 2] = rng.integers(0, 3, 500)  # a column of three values has three bins
    boxes = candidate_boxes(x, weight / weight.sum(), subsets_of(3))
    numbers = rng.normal(size=(4, 500))
    found = boxes.sums(numbers)
    assert found.shape == (4, len(boxes.columns))
    for box in range(0, len(boxes.columns), 7):
        inside = boxes.inside(x, box)
        np.testing.assert_allclose(found[:, box], numbers[:, inside].sum(axis=1), atol=1e-12)
    assert {len(c) for c in boxes.columns} == {1, 2, 3}
    few = boxes.take(np.array([5, 700]))
    np.testing.assert_allclose(few.sums(numbers), found[:, [5, 700]])
    alone = [k for k, columns in enumerate(boxes.columns) if columns == (2,)]
    assert {(boxes.low[k], boxes.high[k]) for k in alone} >= {((-np.inf,), (1.0,))}
    constant = candidate_boxes(np.ones((10, 1)), np.full(10, 0.1), [(0,)])
    assert constant.columns == []


def test_step_down_is_that_of_westfall_and_young():
    """By their definition, one hypothesis after the other."""
    rng = np.random.default_rng(1)
    size = np.abs(rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6)))
    size[0] *= 1.5
    expected, largest = np.zeros(6), 0.0
    left = list(range(6))
    while left:
        k = max(left, key=lambda k: size[0, k])
        largest = max(largest, float((size[:, left].max(axis=1) >= size[0, k]).mean()))
        expected[k] = largest
        left.remove(k)
    np.testing.assert_allclose(step_down(size), expected)


def test_a_blob_is_found_named_and_measured():
    rng = np.random.default_rng(2)
    x, y = _with_blob(rng, 5000, 4), rng.normal(size=(4000, 4))
    record = where_it_is_wrong(Events(x), Events(y), ["pt", "abs(eta)", "a", "b"], seed=1)
    first = record["boxes"][0]
    assert first["columns"] == ["pt", "abs(eta)"] and first["p"] == 1 / 500
    (low, high), (below, above) = first["intervals"]
    assert low < 0.9 < high and below < -0.9 < above
    assert first["label"].count(" and ") == 1 and "<= abs(eta) <" in first["label"]
    # 4 % in the blob, above the true share, of which the box holds most
    inside = ((y[:, :2] >= [low, below]) & (y[:, :2] < [high, above])).all(axis=1).mean()
    assert first["share"] == pytest.approx(inside)
    assert 0.02 < (first["ratio"] - 0.96) * first["share"] < 0.045
    assert 0.05 < first["error"] / first["ratio"] < 0.2
    # what overlaps it is not named again
    boxes = [(b["columns"], b["intervals"]) for b in record["boxes"]]
    assert len(boxes) <= 3 and len({str(b) for b in boxes}) == len(boxes)


def test_what_is_missing_is_too_few():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 4000, 2))
    lost = (x[:, 0] > 0.5) & (x[:, 1] > 0.5)
    found = local_test(x[~lost], y)
    box = found.boxes[0]
    assert box.ratio == 0 and box.z < 0 and np.isnan(box.error) and min(box.low) > 0.4
    reverse = local_test(y, x[~lost]).boxes[0]
    assert reverse.ratio == np.inf and reverse.z > 0
    assert where_it_is_wrong(Events(y), Events(x[~lost]), "ab")["boxes"][0]["ratio"] is None


def test_one_place_is_named_once():
    """All generated events at one value: of the boxes around it one is named, and what overlaps
    another by more than half of its events is not.
    """
    rng = np.random.default_rng(7)
    x, y = np.full((1000, 1), 0.3), rng.normal(size=(1000, 1))
    found = local_test(x, y, permutations=99)
    around = [box for box in found.boxes if box.low[0] <= 0.3 < box.high[0]]
    assert len(around) == 1 and around[0].ratio > 5 and len(found.boxes) > 1
    ends = [(box.low[0], box.high[0]) for box in found.boxes]
    for (a, b), (c, d) in combinations(ends, 2):
        held = [np.mean((y >= low) & (y < high)) for low, high in ((a, b), (c, d))]
        shared = np.mean((y >= max(a, c)) & (y < min(b, d)))
        assert shared <= 0.5 * min(held) + 1e-9


def test_a_ratio_says_where_to_look_among_many_columns():
    rng = np.random.default_rng(4)
    x, y = _with_blob(rng, 9000, 12), rng.normal(size=(9000, 12))
    assert are_few(6) and not are_few(12)

    def look(pool, at):
        return np.exp(-((at[:, 0] - 0.9) ** 2 + (at[:, 1] + 0.9) ** 2) / 0.1)

    found = local_test(x, y, looks=[look], permutations=99)
    assert found.boxes[0].columns[:2] == (0, 1) and found.taught == 6000
    assert found.n_gen == found.n_holdout == 6000 and (0, 1) in found.subsets
    at = rng.normal(size=(4000, 12))
    chosen = chosen_subsets(at, look(None, at)[None])
    pairs, triples = ([s for s in chosen if len(s) == k] for k in (2, 3))
    assert pairs[0] == (0, 1) and (len(chosen), len(pairs), len(triples)) == (47, 15, 20)
    assert any({0, 1} < set(t) for t in triples)


def test_weights_are_events():
    """A sample of half the events with weight two differs nowhere; with wrong weights it does."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 4000, 2))
    weight = np.where(x[:, 0] > 0, 2.0, 1.0)
    thinned = x[(x[:, 0] <= 0) | (rng.random(4000) < 0.5)]
    fair = np.where(thinned[:, 0] > 0, 2.0, 1.0)
    assert not local_test(thinned, y, weight_gen=fair, permutations=99).boxes
    wrong = local_test(x, y, weight_gen=weight, permutations=99).boxes[0]
    assert wrong.columns == (0,) and wrong.ratio == pytest.approx(4 / 3, rel=0.1)


def test_chance_names_no_place_more_often_than_asked():
    """Sixty runs without a difference at level .1: at most 14 with a box (a false alarm in a
    thousand), and the p-value of the largest deviation is uniform.
    """
    p, named = [], 0
    for seed in range(60):
        x, y = np.random.default_rng(seed).normal(size=(2, 120, 2))
        found = local_test(x, y, permutations=59, level=0.1, seed=seed)
        p.append(found.p)
        named += bool(found.boxes)
    assert named <= 14
    assert abs(np.mean(p) - 0.5) < 3.3 * np.sqrt(1 / 12 / 60)


def test_few_events_have_no_boxes():
    found = local_test(*np.random.default_rng(6).normal(size=(2, 15, 2)), permutations=19)
    assert found.boxes == () and found.p == 1 and found.looked_at == 0
    assert len(list(combinations(range(2), 2))) + 2 == len(found.subsets)
