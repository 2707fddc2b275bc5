"""A learned likelihood ratio from boosted trees, for users who trust them; needs the extra [trees]
(scikit-learn).
"""

from typing import Any

import numpy as np

from amplify.errors import MissingExtraError
from amplify.summaries import Learner, LogProb, Summary, inputs
from amplify.summaries.atoms import atoms_first


def boosted_trees(log_prob: LogProb | None = None, seed: int = 0, **settings: Any) -> Learner:
    """scikit-learn's HistGradientBoostingClassifier with both samples of the same total weight; t
    is minus its logit.

    Args:
        log_prob: of the generator, one feature more: events [n, dim] -> [n].
        seed: of the early stopping.
        settings: of the classifier, over our defaults (shallow trees, a slow rate, early stopping).

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError:
        got, fix = "no such package", "pip install scikit-learn, the extra [trees]"
        raise MissingExtraError("boosted trees", "scikit-learn", got, fix) from None
    defaults = {
        "max_iter": 200,
        "learning_rate": 0.05,
        "max_leaf_nodes": 8,
        "min_samples_leaf": 50,
        "early_stopping": True,
        "random_state": seed,
    }

    def learn(
        x_gen: np.ndarray,
        x_true: np.ndarray,
        weight_gen: np.ndarray | None = None,
        weight_true: np.ndarray | None = None,
    ) -> Summary:
        model = HistGradientBoostingClassifier(**(defaults | settings))
        table = np.concatenate([inputs(x_gen, log_prob), inputs(x_true, log_prob)])
        label = np.repeat([0, 1], [len(x_gen), len(x_true)])
        both = (x_gen, weight_gen), (x_true, weight_true)
        weights = [np.ones(len(x)) if w is None else np.asarray(w) for x, w in both]
        balanced = np.concatenate([w / w.sum() * len(table) for w in weights])
        model.fit(table, label, sample_weight=balanced)

        def summary(x: np.ndarray) -> np.ndarray:
            if not len(x):
                return np.zeros(0)
            return -np.asarray(model.decision_function(inputs(x, log_prob)))

        return summary

    return atoms_first(learn)
