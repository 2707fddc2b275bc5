"""The quartic kernel (x y / d + 1)^4 as a sum over features, so that sums over pairs of events
become sums over events.

With z = (1, x / sqrt d) it is (z z')^4. (z z')^2 is the scalar product of all products of two
columns of z, and so is the fourth power of the products of four: C(d + 4, 4) different ones.
"""

from math import comb
from typing import Any

import numpy as np
from jaxtyping import Float

from amplify.namespace import namespace


def monomials(dim: int) -> int:
    """How many products of at most four out of `dim` columns there are.

    >>> [monomials(d) for d in (1, 5, 20)]
    [5, 126, 10626]
    """
    return comb(dim + 4, 4)


def squares(x: Float[Any, "n dim"]) -> Float[Any, "n pair"]:
    """Features q with q(x) q(y) = (x y / d + 1)^2, the products of two; NumPy or JAX.

    >>> q = squares(np.array([[1.0, 2.0], [3.0, -1.0]]))
    >>> round(float(q[0] @ q[1]), 9), ((3 - 2) / 2 + 1) ** 2
    (2.25, 2.25)
    """
    xp = namespace(x)
    z = _with_one(xp, x)
    first, second = np.triu_indices(z.shape[1])
    often = xp.asarray(np.sqrt(np.where(first == second, 1.0, 2.0)), z.dtype)
    return z[:, first] * z[:, second] * often[None]


class Quartic:
    """Features of the quartic kernel of events with so many columns.

    Attributes:
        features: how many.
    """

    def __init__(self, dim: int) -> None:
        z = np.arange(dim + 1)
        # four indices in ascending order: pairs (a, b) and (c, d) with b <= c
        self._pairs = np.triu_indices(dim + 1)
        first, second = self._pairs
        left, right = np.nonzero(second[:, None] <= first)
        self._left, self._right = left, right
        of_four = np.stack([first[left], second[left], first[right], second[right]])
        factorials = np.array([1.0, 1.0, 2.0, 6.0, 24.0])
        runs = factorials[(of_four[:, None] == z[:, None]).sum(axis=0)]
        self._root = np.sqrt(24.0 / runs.prod(axis=0))
        self.features = len(left)

    def __call__(self, x: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "feature n"]:
        """Of each event, feature by feature."""
        z = np.ascontiguousarray(_with_one(np, x).T)
        pairs = z[self._pairs[0]] * z[self._pairs[1]]
        found = pairs[self._left]
        found *= self._root[:, None].astype(x.dtype)
        for i, right in enumerate(self._right):
            found[i] *= pairs[right]
        return found


def _with_one(xp: Any, x: Any) -> Any:
    x = xp.asarray(x)
    ones = xp.ones((len(x), 1), x.dtype)
    return xp.concatenate([ones, x / x.shape[1] ** 0.5], axis=1)
