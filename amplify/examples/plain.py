"""A generator in plain NumPy, to copy: a Gaussian with the mean and the covariance of the training
events.

    amplify averaging --generator amplify.examples.plain:fit --train train.npy --members 8

`fit` trains once, on the events it is given: every member gets a bootstrap sample of its own, so do
not read the training file here. The function it returns generates. Both get a seed and must take
all their randomness from it: the same seed twice gives the same events, another seed other events.
"""

from collections.abc import Callable

import numpy as np


def fit(
    x_train: np.ndarray, seed: int, weight: np.ndarray | None = None
) -> Callable[[int, int], np.ndarray]:
    """Learns from x_train [n, dim]. Needs no seed, because nothing is random here; a network would
    start from it.

    Args:
        x_train: training events [n, dim].
        seed: of the training.
        weight: event weights [n]. Leave the parameter away if your generator cannot use them, and
            weighted events are refused.

    Returns:
        sample(n, seed) -> events [n, dim], with the columns of x_train.
    """
    weight = np.ones(len(x_train)) if weight is None else weight
    mean = weight @ x_train / weight.sum()
    away = x_train - mean
    covariance = (weight * away.T) @ away / weight.sum()

    def sample(n: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return rng.multivariate_normal(mean, covariance, n, check_valid="raise")

    return sample
