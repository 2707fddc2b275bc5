"""Generators of a few lines of NumPy for `experiments.forecast`, which trains them a thousand
times: a kernel density and a Gaussian mixture.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

_BLOCK = 512  # events compared with all kernels at once
_STEPS = 60  # of expectation maximisation
_FLOOR = 0.02  # width of a component, in quadrature, in standard deviations of the events


class Baseline(NamedTuple):
    """What a fit leaves.

    Attributes:
        sample: (rng, n) -> events [n, dim].
        log_prob: events [n, dim] -> [n].
    """

    sample: Callable[[np.random.Generator, int], np.ndarray]
    log_prob: Callable[[np.ndarray], np.ndarray]


def kernels(x: np.ndarray, rng: np.random.Generator) -> Baseline:
    """Gaussian kernels of Scott's width around standardised events."""
    mean, width = x.mean(axis=0), x.std(axis=0)
    n, dim = x.shape
    u, h = (x - mean) / width, n ** (-1 / (dim + 4))
    norm = np.log(n) + dim * np.log(h * np.sqrt(2 * np.pi)) + np.log(width).sum()
    single, square = u.astype(np.float32), (u**2).sum(axis=1)

    def log_prob(y: np.ndarray) -> np.ndarray:
        v = (y - mean) / width
        parts = []
        for start in range(0, len(v), _BLOCK):
            block = v[start : start + _BLOCK]
            apart = (
                (block**2).sum(axis=1)[:, None] + square - 2 * block.astype(np.float32) @ single.T
            )
            kernel = np.exp((-apart / (2 * h**2)).astype(np.float32)).sum(axis=1)
            parts.append(np.log(kernel.astype(float) + 1e-300))
        return np.concatenate(parts) - norm

    def sample(rng: np.random.Generator, count: int) -> np.ndarray:
        at = u[rng.integers(n, size=count)] + h * rng.normal(size=(count, dim))
        return mean + width * at

    return Baseline(sample, log_prob)


def mixture(x: np.ndarray, rng: np.random.Generator, components: int = 8) -> Baseline:
    """Gaussians by expectation maximisation, from training events as means."""
    mean, width = x.mean(axis=0), x.std(axis=0)
    u, dim = (x - mean) / width, x.shape[1]
    centre = u[rng.choice(len(u), components, replace=False)]
    covariance = np.tile(np.eye(dim) / components, (components, 1, 1))
    share = np.full(components, 1 / components)

    def log_parts(v: np.ndarray) -> np.ndarray:
        """Log of weight times density of each component [component, n]."""
        root = np.linalg.cholesky(covariance)
        z = np.linalg.solve(root, (v[None] - centre[:, None]).transpose(0, 2, 1))
        log_det = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        constant = np.log(share) - log_det - dim / 2 * np.log(2 * np.pi)
        return constant[:, None] - (z**2).sum(axis=1) / 2

    for _ in range(_STEPS):
        parts = log_parts(u)
        belongs = np.exp(parts - logsumexp(parts, axis=0))
        total = belongs.sum(axis=1) + 1e-6
        centre = belongs @ u / total[:, None]
        apart = u[None] - centre[:, None]
        covariance = (belongs[:, None] * apart.transpose(0, 2, 1)) @ apart / total[:, None, None]
        covariance = covariance + _FLOOR**2 * np.eye(dim)
        share = total / total.sum()

    def log_prob(y: np.ndarray) -> np.ndarray:
        return logsumexp(log_parts((y - mean) / width), axis=0) - np.log(width).sum()

    def sample(rng: np.random.Generator, count: int) -> np.ndarray:
        of = rng.choice(components, size=count, p=share)
        root = np.linalg.cholesky(covariance)[of]
        return mean + width * (centre[of] + (root @ rng.normal(size=(count, dim, 1)))[..., 0])

    return Baseline(sample, log_prob)


FITS: dict[str, Callable[[np.ndarray, np.random.Generator], Baseline]] = {
    "kde": kernels,
    "gmm": mixture,
}
