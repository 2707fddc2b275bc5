"""Generators of scikit-learn: a Gaussian mixture (`fit`) and a kernel density (`fit_kde`). Needs
the extra [trees] (scikit-learn).

    amplify averaging --generator amplify.examples.mixture:fit --train train.npy --members 8
"""

from collections.abc import Callable

import numpy as np

from amplify.errors import MissingExtraError

Sample = Callable[[int, int], np.ndarray]


def fit(x_train: np.ndarray, seed: int) -> Sample:
    """A mixture of eight Gaussians. It takes no weights, because scikit-learn's takes none."""
    try:
        from sklearn.mixture import GaussianMixture
    except ImportError:
        raise _missing() from None
    x = np.asarray(x_train, np.float64)  # single precision upsets its covariances
    model = GaussianMixture(n_components=8, max_iter=1000, random_state=seed).fit(x)

    def sample(n: int, seed: int) -> np.ndarray:
        model.random_state = seed
        x, _ = model.sample(n)
        return np.random.default_rng(seed).permutation(x)  # they come sorted by component

    return sample


def fit_kde(x_train: np.ndarray, seed: int, weight: np.ndarray | None = None) -> Sample:
    """A Gaussian kernel around every training event, of Scott's width in standardised columns. It
    memorises, so n_equiv should be close to n_train.

    Weights must be positive.
    """
    try:
        from sklearn.neighbors import KernelDensity
    except ImportError:
        raise _missing() from None
    mean, width = x_train.mean(axis=0), x_train.std(axis=0)
    bandwidth = len(x_train) ** (-1 / (x_train.shape[1] + 4))
    model = KernelDensity(bandwidth=bandwidth).fit((x_train - mean) / width, sample_weight=weight)
    return lambda n, seed: mean + width * model.sample(n, random_state=seed)


def _missing() -> MissingExtraError:
    return MissingExtraError(
        "generators of scikit-learn",
        "scikit-learn",
        "no such package",
        "pip install scikit-learn, the extra [trees]",
    )
