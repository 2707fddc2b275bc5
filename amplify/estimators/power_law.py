"""A power law y(k) = y(n) (n / k)^b through noisy values at several sizes k, extrapolated to the
size n of all training events and beyond (docs/method, Forecast from the training data alone).

The fit is linear in y, so that values below zero stay what they are, unbiased; a fit of log y would
drop them and come out too high. For each exponent of a grid the best y(n) and its error are those
of least squares, and how well an exponent fits is its weight. What is quoted of a curve are
quantiles over draws of that mixture of Gaussians; with one exponent in the grid it is a Gaussian.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from amplify.errors import InputError

DRAWS = 4000  # quantiles at 68 % are known to a fiftieth of the width
_ROUNDS = 4  # of weights that depend on the curve
_SEED = 20260  # of the order in which exponents and errors are paired

Covariance = Float[np.ndarray, "size size"]


class Curves(NamedTuple):
    """Equally probable power laws y(k) = value (n / k)^exponent.

    Attributes:
        n: the size that values are given at.
        value: y(n) of each [draw].
        exponent: of each [draw].
    """

    n: float
    value: Float[np.ndarray, " draw"]
    exponent: Float[np.ndarray, " draw"]

    def at(self, k: float) -> Float[np.ndarray, " draw"]:
        """What they say at size k."""
        return self.value * (self.n / k) ** self.exponent


class PowerLaw(NamedTuple):
    """The fit: for each exponent of the grid what it says, and how much that counts.

    Attributes:
        n: the size that values are given at.
        exponent: b [grid].
        weight: of each exponent; they sum to one [grid].
        value: y(n) with that exponent [grid].
        error: of it [grid].
        chi_square: of the best exponent.
    """

    n: float
    exponent: Float[np.ndarray, " grid"]
    weight: Float[np.ndarray, " grid"]
    value: Float[np.ndarray, " grid"]
    error: Float[np.ndarray, " grid"]
    chi_square: float

    def best(self, k: Float[np.ndarray, " size"]) -> Float[np.ndarray, " size"]:
        """The curve of the best exponent at these sizes."""
        g = int(np.argmax(self.weight))
        return self.value[g] * (self.n / np.asarray(k, float)) ** self.exponent[g]

    def draws(self, number: int = DRAWS, seed: int = _SEED) -> Curves:
        """Curves in proportion to their probability, the same each time.

        >>> sizes = np.array([1.0, 2.0])
        >>> law = fit_power_law(np.array([4.0, 2.0]), sizes, np.eye(2), n=4, exponents=1)
        >>> round(float(np.median(law.draws().at(8))), 2)
        0.5

        Args:
            number: of curves, one in each of as many equally probable parts.
            seed: of which error goes with which exponent.
        """
        places = (np.arange(number) + 0.5) / number
        of_grid = np.searchsorted(np.cumsum(self.weight), places * (1 - 1e-12))
        of_grid = np.minimum(of_grid, len(self.weight) - 1)
        error = np.random.default_rng(seed).permutation(ndtri(places))
        value = self.value[of_grid] + error * self.error[of_grid]
        return Curves(self.n, value, self.exponent[of_grid])


def fit_power_law(
    y: Float[np.ndarray, " size"],
    k: Float[np.ndarray, " size"],
    covariance: Covariance | Callable[[PowerLaw | None], Covariance],
    *,
    n: float,
    exponents: Float[np.ndarray, " grid"] | float,
) -> PowerLaw:
    """Fits y(k) = y(n) (n / k)^b by least squares.

    An exponent b counts exp(-chi^2(b) / 2): flat beforehand over the grid, and flat in y where the
    sizes are.

    Args:
        y: what was measured at each size, of unbiased estimates; some may be negative.
        k: the sizes.
        covariance: of y; or what gives it from the curve fitted so far (None at first), as where
            the error of y is in proportion to its expectation.
        n: where the curve is wanted.
        exponents: a grid of b, rising; or the one that is known.

    Raises:
        InputError: fewer than two sizes where the exponent is free, or values that are not finite.
    """
    y, k = np.asarray(y, float), np.asarray(k, float)
    grid = np.atleast_1d(np.asarray(exponents, float))
    if len(np.unique(k)) < min(2, len(grid)) or y.shape != k.shape:
        fix = "train on subsamples of more sizes, or fix the exponent"
        raise InputError("power law", "values at two sizes or more", f"{len(np.unique(k))}", fix)
    if not (np.isfinite(y).all() and (k > 0).all()):
        expected, fix = "finite values at positive sizes", "repair what was measured"
        raise InputError("power law", expected, f"{y.tolist()}", fix)
    if not callable(covariance):
        return _fitted(y, k, covariance, n, grid)
    law = None
    for _ in range(_ROUNDS):
        law = _fitted(y, k, covariance(law), n, grid)
    assert law is not None
    return law


def _fitted(
    y: np.ndarray, k: np.ndarray, covariance: np.ndarray, n: float, grid: np.ndarray
) -> PowerLaw:
    root = np.linalg.cholesky(covariance)
    shape = (n / k)[:, None] ** grid  # [size, grid]
    white = np.linalg.solve(root, np.column_stack([y, shape]))
    values, shapes = white[:, 0], white[:, 1:]
    information = (shapes**2).sum(axis=0)
    amplitude = values @ shapes / information
    chi_square = values @ values - amplitude**2 * information
    weight = np.exp(-(chi_square - chi_square.min()) / 2)
    error = information**-0.5
    return PowerLaw(n, grid, weight / weight.sum(), amplitude, error, float(chi_square.min()))


def first_size(reaches: Callable[[float], bool], sizes: Float[np.ndarray, " size"]) -> float:
    """The first of the rising sizes at which it holds; infinite where it holds at none of them.

    >>> first_size(lambda n: n > 20, np.array([10.0, 30.0, 100.0]))
    30.0
    """
    return next((float(n) for n in sizes if reaches(float(n))), np.inf)
