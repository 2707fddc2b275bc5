"""A learned likelihood ratio from boosted trees, for users who trust them; needs the extra [trees]
(scikit-learn).
"""

from typing import Any

import numpy as np

from amplify.errors import MissingExtraError
from amplify.summaries import Learner, LogProb, Summary, inputs


def boosted_trees(log_prob: LogProb | None = None, seed: int = 0, **settings: Any) -> Learner:
    """scikit-learn's HistGradientBoostingClassifier with both samples of the same total weight; t
    is minus its logit.

    Args:
        log_prob: of the generator, one feature more.
        seed: of the early stopping.
        settings: of the classifier, over our defaults (shallow trees, a slow rate, early stopping).

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError:
        raise MissingExtraError(
            "boosted trees",
            "scikit-learn",
            "no such package",
            "pip install scikit-learn, the extra [trees]",
        ) from None
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
        weights = [
            np.ones(len(x)) if w is None else np.asarray(w)
            for x, w in ((x_gen, weight_gen), (x_true, weight_true))
        ]
        model = HistGradientBoostingClassifier(**(defaults | settings))
        table = np.concatenate([inputs(x_gen, log_prob), inputs(x_true, log_prob)])
        label = np.repeat([0, 1], [len(x_gen), len(x_true)])
        model.fit(
            table, label, sample_weight=np.concatenate([w / w.sum() * len(table) for w in weights])
        )
        return lambda x: (
            -np.asarray(model.decision_function(inputs(x, log_prob))) if len(x) else np.zeros(0)
        )

    return learn
