"""Generators that are wrong in known ways by known amounts, in any number of dimensions.

The truth has a Gaussian of unit width in every column and a small narrow mode, in the corner of the
first two columns. A generator is wrong in one or two of these; the other columns are noise that a
statistic has to look past.
"""

from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import ndtri
from scipy.stats import norm

from amplify.estimators.statistics import Pooled
from experiments.problems import Gaussians

SHARE = 0.032
"""Of the events of a mode, a tail, a blob; shifts and widths are chosen to be about as far."""

_MODE, _MODE_WIDTH = (2.5, 2.5), 0.5
_BLOB, _BLOB_WIDTH = (-1.5, 1.5), 0.2


class Density(Protocol):
    """What is known of truth and of a generator."""

    def draw(self, rng: np.random.Generator, n: int, /) -> np.ndarray:
        """Events [n, dim]."""
        ...

    def log_prob(self, x: np.ndarray, /) -> np.ndarray:
        """Log density [n], -inf outside."""
        ...


class Truncated(NamedTuple):
    """A density without what lies below a cut in the second column, of which the kept share is
    known.
    """

    full: Gaussians
    cut: float
    kept: float

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Events [n, dim]."""
        x = self.full.draw(rng, round(1.1 * n / self.kept) + 100)
        return x[x[:, 1] > self.cut][:n]

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Log density [n]."""
        return np.where(x[:, 1] > self.cut, self.full.log_prob(x) - np.log(self.kept), -np.inf)


TITLES = {
    "shift": "mean of a column",
    "width": "width of a column",
    "correlation": "correlation of two",
    "mode": "a mode is missing",
    "tail": "a tail is missing",
    "blob": "3 % in a narrow blob",
}


def truth(dim: int) -> Gaussians:
    """What generators are compared with."""
    return _gaussians(dim, (1 - SHARE, SHARE), ((0.0, 0.0), _MODE), (1.0, _MODE_WIDTH))


def generators(dim: int) -> dict[str, Density]:
    """Wrong generators by what is wrong with them, at least two dimensions."""
    true = truth(dim)
    shifted, wide, correlated = (
        true._replace(mean=true.mean.copy(), covariance=true.covariance.copy()) for _ in range(3)
    )
    # to first order the distances are d / sqrt(2 pi), log(width) sqrt(2 / (pi e)), angle / pi
    shifted.mean[0, 0] = 1.05 * SHARE * np.sqrt(2 * np.pi)
    wide.covariance[0, 0, 0] = np.exp(1.08 * 2 * SHARE * np.sqrt(np.pi * np.e / 2))
    correlated.covariance[0, 0, 1] = correlated.covariance[0, 1, 0] = np.sin(1.05 * np.pi * SHARE)
    cut = float(ndtri(SHARE))
    kept = (1 - SHARE) * norm.sf(cut) + SHARE * norm.sf(cut, _MODE[1], _MODE_WIDTH)
    shares = (*((1 - SHARE) * true.share), SHARE)
    blob = _gaussians(dim, shares, ((0.0, 0.0), _MODE, _BLOB), (1.0, _MODE_WIDTH, _BLOB_WIDTH))
    return {
        "shift": shifted,
        "width": wide,
        "correlation": correlated,
        "mode": _gaussians(dim, (1.0,), ((0.0, 0.0),), (1.0,)),
        "tail": Truncated(true, cut, float(kept)),
        "blob": blob,
    }


def middle(rng: np.random.Generator, true: Density, wrong: Density, n: int) -> Pooled:
    """Events of two densities p and q, n of each, as events of (p + q) / 2. Their difference is not
    that of the two samples but of the densities, (q - p) / (p + q) / n at an event, which has much
    less noise; the labels that it needs to have none are those of n + n events.
    """
    x = np.concatenate([wrong.draw(rng, n), true.draw(rng, n)])
    difference = np.tanh((wrong.log_prob(x) - true.log_prob(x)) / 2) / n
    difference -= difference.mean()
    return Pooled(x, np.full(2 * n, 0.5 / n), difference, n, n)


def distance_of(pool: Pooled) -> float:
    """Total variation of a difference of densities."""
    return float(np.abs(pool.difference).sum() / 2)


def _gaussians(
    dim: int,
    shares: tuple[float, ...],
    places: tuple[tuple[float, float], ...],
    widths: tuple[float, ...],
) -> Gaussians:
    mean = np.zeros((len(shares), dim))
    mean[:, :2] = places
    covariance = np.array(widths)[:, None, None] ** 2 * np.eye(dim)
    return Gaussians(np.array(shares), mean, covariance)
