"""Classifier two-sample test: half of the pooled events teaches, the other half is tested, and once
more with the halves exchanged (arXiv:1610.06545; AUC as in CaloChallenge, arXiv:2410.21611).

The classifier is linear in features that depend on the events alone: linear and quadratic terms and
random Fourier features (Rahimi and Recht, 2007). Ridge regression on the labels has a closed form
whose matrix is that of the pool, so that it is taught again for every permutation by one product.
Up to a scale it is Fisher's discriminant.

Null mean and spread of AUC and accuracy do not depend on the learner: no test event has been seen.
So true events have the same expected AUC however many they are, and an equivalent number of events
compares the excess over a half with the spread of n true events.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from amplify.errors import InputError, MissingExtraError
from amplify.estimators.statistics.protocol import Distances, Pooled, Statistic, pooled
from amplify.estimators.statistics.shares import choose, in_blocks, standardised, two_samples

RIDGE = 0.1  # of the variance of a feature; chosen on problems of their own
_POLYNOMIALS = 250  # terms at most; linear ones always
_WAVES = 64  # random Fourier features at most
_EVENTS_PER_FEATURE = 10  # that teach, at least


def roc_auc(
    score_x: Float[np.ndarray, " n"],
    score_y: Float[np.ndarray, " m"],
    weight_x: Float[np.ndarray, " n"] | None = None,
    weight_y: Float[np.ndarray, " m"] | None = None,
) -> float:
    """P(score of x > score of y) + P(equal) / 2, the area under the ROC curve.

    >>> roc_auc(np.array([1.0, 2.0]), np.array([0.0, 1.0]))
    0.875
    """
    values, place = np.unique(np.concatenate([score_x, score_y]), return_inverse=True)
    n = len(score_x)
    x = np.bincount(place[:n], weight_x, len(values))
    y = np.bincount(place[n:], weight_y, len(values))
    return float(x @ (np.cumsum(y) - y / 2) / (x.sum() * y.sum()))


def features(
    z: Float[np.ndarray, "event dim"],
    weight: Float[np.ndarray, " event"],
    most: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, "event feature"]:
    """Linear and quadratic terms, as many as are affordable, and random Fourier features; mean 0
    and variance 1, float32.

    Args:
        z: standardised events.
        weight: of each.
        most: features, apart from the linear ones.
        rng: of the waves.
    """
    dim = z.shape[1]
    limit = min(_POLYNOMIALS, most)
    terms = [z]
    if 2 * dim <= limit:
        terms.append(z**2)
    if dim * (dim + 3) // 2 <= limit:
        first, second = np.triu_indices(dim, 1)
        terms.append(z[:, first] * z[:, second])
    waves = min(_WAVES, most - sum(term.shape[1] for term in terms)) // 2
    if waves > 0:
        some = z[choose(weight, 1000, rng)]
        apart = np.sqrt(((some[::2][: len(some) // 2] - some[1::2]) ** 2).sum(axis=1))
        width = float(np.median(apart)) if len(apart) else 1.0
        # scales from that of the whole sample to a fourth of it
        scale = 4 ** rng.uniform(0, 1, waves) / (width or 1.0)
        phase = z @ (rng.normal(size=(dim, waves)) * scale)
        terms += [np.cos(phase), np.sin(phase)]
    table = np.concatenate(terms, axis=1)
    share = weight / weight.sum()
    table -= share @ table
    deviation = np.sqrt(share @ table**2)
    return (table / np.where(deviation > 1e-7, deviation, 1.0)).astype(np.float32)


class _Fold(NamedTuple):
    """Taught on one half, tested on the other.

    Attributes:
        teach: events that teach.
        test: events that are tested, those that are equal next to each other.
        first: where a group of equal events begins; None if all differ.
        of_teach: features of the events that teach.
        inverse: of the ridge regression.
        of_test: features of the groups.
    """

    teach: Int[np.ndarray, " teach"]
    test: Int[np.ndarray, " test"]
    first: Int[np.ndarray, " group"] | None
    of_teach: Float[np.ndarray, "teach feature"]
    inverse: Float[np.ndarray, "feature feature"]
    of_test: Float[np.ndarray, "feature group"]


def _fold(
    pool: Pooled, table: np.ndarray, teach: np.ndarray, test: np.ndarray, ridge: float
) -> _Fold:
    # equal events have equal scores: rounding of a product must not order them
    _, group, count = np.unique(pool.x[test], axis=0, return_inverse=True, return_counts=True)
    first = None
    if len(count) < len(test):
        test = test[np.argsort(group.ravel(), kind="stable")]
        first = np.cumsum(count) - count
    of_test = table[test] if first is None else table[test[first]]
    of_teach, weight = table[teach], pool.weight[teach] / pool.weight[teach].sum()
    centred = of_teach - (weight @ of_teach).astype(np.float32)
    second = (centred.T @ (weight.astype(np.float32)[:, None] * centred)).astype(np.float64)
    inverse = np.linalg.inv(second + ridge * np.eye(len(second))).astype(np.float32)
    return _Fold(teach, test, first, of_teach, inverse, np.ascontiguousarray(of_test.T))


def _tested(fold: _Fold, x: np.ndarray, y: np.ndarray) -> Float[np.ndarray, "experiment 2"]:
    """AUC and accuracy of two samples, given by the shares of all events."""
    mean_x, mean_y = (_within(share[:, fold.teach]) @ fold.of_teach for share in (x, y))
    coefficients = (mean_x - mean_y) @ fold.inverse
    score = coefficients @ fold.of_test
    middle = (coefficients * (mean_x + mean_y)).sum(axis=1) / 2
    x, y = (_within(share[:, fold.test]) for share in (x, y))
    if fold.first is not None:
        x, y = (np.add.reduceat(share, fold.first, axis=1) for share in (x, y))
    gap = ((x - y) * (score > middle[:, None])).sum(axis=1, dtype=np.float64)
    order = np.argsort(score, axis=1)
    x, y = np.take_along_axis(x, order, 1), np.take_along_axis(y, order, 1)
    below = np.cumsum(y, axis=1, dtype=np.float64) - y / 2
    return np.stack([(x * below).sum(axis=1), 0.5 + gap / 2], axis=1)


def _within(share: np.ndarray) -> np.ndarray:
    """Shares in a half, whose sum is one there."""
    total = share.sum(axis=1, keepdims=True)
    return share / np.where(total > 0, total, 1)


def _areas(
    pool: Pooled, seed: int, ridge: float = RIDGE
) -> Callable[[np.ndarray], Float[np.ndarray, "experiment 2"]]:
    """Differences to AUC and accuracy, mean over both ways round."""
    rng = np.random.default_rng([seed, 12])
    order = rng.permutation(len(pool.x))
    a, b = np.sort(order[::2]), np.sort(order[1::2])
    most = len(b) // _EVENTS_PER_FEATURE
    table = features(standardised(pool), pool.weight, most, rng)
    folds = [_fold(pool, table, *pair, ridge) for pair in ((a, b), (b, a))]

    def part(difference: np.ndarray) -> np.ndarray:
        x, y, larger = two_samples(difference)
        both = np.mean([_tested(fold, x, y) for fold in folds], axis=0)
        return 0.5 + (both - 0.5) * larger[:, None]

    return lambda difference: in_blocks(part, difference)


def _auc(pool: Pooled, seed: int) -> Distances:
    areas = _areas(pool, seed)
    return lambda difference: areas(difference)[:, 0]


def _accuracy(pool: Pooled, seed: int) -> Distances:
    areas = _areas(pool, seed)
    return lambda difference: areas(difference)[:, 1]


class ClassifierTest(NamedTuple):
    """How well events that have not taught are told apart; a half is chance.

    Attributes:
        auc: area under the ROC curve.
        accuracy: share of events that are named rightly, both samples with the same weight.
    """

    auc: float
    accuracy: float


def classifier_test(
    x: Float[np.ndarray, "n dim"],
    y: Float[np.ndarray, "m dim"],
    weight_x: Float[np.ndarray, " n"] | None = None,
    weight_y: Float[np.ndarray, " m"] | None = None,
    *,
    learner: str = "ridge",
    ridge: float = RIDGE,
    seed: int = 0,
) -> ClassifierTest:
    """AUC and accuracy of a classifier of generated events x and the holdout y.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(1, 1, (2000, 1)), rng.normal(0, 1, (2000, 1))
    >>> bool(0.74 < classifier_test(x, y).auc < 0.78)  # the best is Phi(1 / sqrt 2) = .760
    True

    Args:
        x: generated events.
        y: events of the holdout.
        weight_x: event weights, or None.
        weight_y: the same of y.
        learner: "ridge", or "trees", the boosted trees of scikit-learn.
        ridge: penalty of the former, in units of the variance of a feature.
        seed: of the halves and the features.

    Raises:
        InputError: another learner.
        MissingExtraError: trees without scikit-learn.
    """
    pool = pooled(x, y, weight_x, weight_y)
    if learner == "ridge":
        found = _areas(pool, seed, ridge)(pool.difference[None])[0]
        return ClassifierTest(float(found[0]), float(found[1]))
    if learner != "trees":
        raise InputError("learner", '"ridge" or "trees"', learner, "choose one of these")
    model = boosted_trees(seed)
    order = np.random.default_rng([seed, 12]).permutation(len(pool.x))
    is_x, weight = pool.difference > 0, np.abs(pool.difference)
    found = []
    for teach, test in ((order[::2], order[1::2]), (order[1::2], order[::2])):
        balanced = weight[teach] * len(teach) / 2
        model.fit(pool.x[teach], is_x[teach], sample_weight=balanced)
        score, of_x, w = model.decision_function(pool.x[test]), is_x[test], weight[test]
        right = [np.average((score > 0)[of_x == is_], weights=w[of_x == is_]) for is_ in (1, 0)]
        area = roc_auc(score[of_x], score[~of_x], w[of_x], w[~of_x])
        found.append((area, (right[0] + 1 - right[1]) / 2))
    auc, accuracy = np.mean(found, axis=0)
    return ClassifierTest(float(auc), float(accuracy))


def boosted_trees(seed: int) -> Any:
    """scikit-learn's HistGradientBoostingClassifier with shallow trees, a slow rate and early
    stopping.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError:
        got, fix = "no such package", "pip install scikit-learn, the extra [trees]"
        raise MissingExtraError('learner="trees"', "scikit-learn", got, fix) from None
    settings: dict[str, Any] = {"early_stopping": True, "random_state": seed}
    settings |= {"max_iter": 200, "learning_rate": 0.05, "max_leaf_nodes": 8}
    return HistGradientBoostingClassifier(**settings, min_samples_leaf=50)


AUC = Statistic("auc", "classifier AUC", 1, _auc, signed=True, most=50_000)
"""P(score of a generated event > score of a true one) of events that have not taught."""

ACCURACY = Statistic("accuracy", "classifier accuracy", 1, _accuracy, signed=True, most=50_000)
"""Share of events that the classifier names rightly, both samples with the same weight."""
