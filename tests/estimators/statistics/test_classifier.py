"""The classifier test against scikit-learn, and its null distribution."""

import sys

import numpy as np
import pytest

from amplify.errors import InputError, MissingExtraError
from amplify.estimators.statistics import classifier, pooled
from amplify.estimators.statistics.classifier import (
    ACCURACY,
    AUC,
    classifier_test,
    features,
    roc_auc,
)
from amplify.estimators.statistics.shares import standardised

RNG = np.random.default_rng(5)
X, Y = RNG.normal(0.2, 1, (700, 3)), RNG.normal(0, [1, 1.2, 1], (700, 3))


def test_area_is_that_of_scikit_learn_with_ties_and_weights():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    score_x, score_y = rng.integers(0, 9, 80) + 1.0, rng.integers(0, 9, 60) + 0.0
    w, v = rng.uniform(0, 2, 80), rng.uniform(0, 2, 60)
    labels = np.repeat([1, 0], [80, 60])
    scores = np.concatenate([score_x, score_y])
    assert roc_auc(score_x, score_y) == pytest.approx(metrics.roc_auc_score(labels, scores))
    expected = metrics.roc_auc_score(labels, scores, sample_weight=np.concatenate([w, v]))
    assert roc_auc(score_x, score_y, w, v) == pytest.approx(expected)


def test_without_penalty_it_is_the_linear_discriminant(monkeypatch):
    monkeypatch.setattr(classifier, "_WAVES", 0)  # waves are nearly polynomials, to rounding
    discriminant = pytest.importorskip("sklearn.discriminant_analysis")
    pool = pooled(X, Y)
    rng = np.random.default_rng([7, 12])
    order = rng.permutation(len(pool.x))
    table = features(standardised(pool), pool.weight, len(order) // 2 // 10, rng)
    found, label = [], pool.difference > 0
    for teach, test in ((order[::2], order[1::2]), (order[1::2], order[::2])):
        model = discriminant.LinearDiscriminantAnalysis(priors=[0.5, 0.5])
        model.fit(table[teach].astype(float), label[teach])
        score = model.decision_function(table[test])
        right = [(score > 0)[label[test]].mean(), (score <= 0)[~label[test]].mean()]
        found.append([roc_auc(score[label[test]], score[~label[test]]), np.mean(right)])
    mine = classifier_test(X, Y, ridge=1e-6, seed=7)
    assert mine.auc == pytest.approx(np.mean(found, axis=0)[0], abs=1e-4)
    assert mine.accuracy == pytest.approx(np.mean(found, axis=0)[1], abs=1e-3)  # one event


def test_prepared_is_pure_and_labels_at_random_have_a_half():
    pool = pooled(X, Y)
    auc, accuracy = AUC.prepare(pool, 3), ACCURACY.prepare(pool, 3)
    pure = classifier_test(X, Y, seed=3)
    assert auc(pool.difference[None])[0] == pytest.approx(pure.auc, abs=1e-6)
    assert accuracy(pool.difference[None])[0] == pytest.approx(pure.accuracy, abs=1e-6)
    rng = np.random.default_rng(1)
    null = np.stack([rng.permutation(pool.difference) for _ in range(300)])
    areas, n = auc(null), len(X) / 2
    # each way has the variance of the U statistic of the half that is tested; both share chance
    expected = np.sqrt((2 * n + 1) / (12 * n * n))
    assert areas.mean() == pytest.approx(0.5, abs=4 * expected / np.sqrt(300))
    assert 0.65 * expected < areas.std() < 1.1 * expected
    assert pure.auc > 0.5 + 2 * expected
    assert AUC.signed and ACCURACY.signed  # a half is no difference, and less than it is one
    # a difference on a scale: as much of the excess as the scale, and more than all beyond one
    some = [auc(scale * pool.difference + null[:100]).mean() for scale in (0.0, 0.5, 1.0, 1.5)]
    assert (np.diff(some) > expected / 2).all()


def test_events_with_two_values_have_the_area_of_their_shares():
    x, y = np.repeat([0.0, 1], [400, 600])[:, None], np.repeat([0.0, 1], [500, 500])[:, None]
    found = classifier_test(x, y)
    assert found.auc == pytest.approx(0.55, abs=0.001)  # halves differ by chance, to second order
    assert found.accuracy == pytest.approx(found.auc)


def test_weights_that_make_samples_alike_leave_nothing_to_tell():
    rng = np.random.default_rng(8)
    x, y = rng.normal(0.5, 1, (3000, 1)), rng.normal(0, 1, (3000, 1))
    ratio = np.exp(-(x[:, 0] - 0.25) / 2)  # of the density of y over that of x
    assert classifier_test(x, y).auc > 0.6
    assert classifier_test(x, y, ratio).auc == pytest.approx(0.5, abs=0.03)  # 4 sigma


def test_boosted_trees_and_what_may_be_asked_for(monkeypatch):
    pytest.importorskip("sklearn.ensemble")
    rng = np.random.default_rng(9)
    x, y = rng.normal(1, 1, (1000, 1)), rng.normal(0, 1, (1000, 1))
    found = classifier_test(x, y, learner="trees")
    assert found.auc == pytest.approx(0.760, abs=0.04)
    assert found.accuracy == pytest.approx(0.691, abs=0.04)  # Phi(1/2)
    with pytest.raises(InputError, match=r'learner: expected "ridge" or "trees", got forest'):
        classifier_test(x, y, learner="forest")
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(MissingExtraError, match="scikit-learn"):
        classifier_test(x, y, learner="trees")
