"""Several two-sample statistics, or several settings of one, as one test: minimum and averages of
their p-values, calibrated by the permutations that all of them share (arXiv:2408.12296 for NPLM of
several kernel widths).

Every assignment of labels gets a p-value of each statistic, its rank among all assignments, and a
combination of these; its rank again is the p-value of the combination. It is exact whatever the
correlation of the statistics, and pays for looking at several.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from amplify.errors import InputError
from amplify.estimators.permutations import Null, ranked, significance

Combination = Callable[
    [Float[np.ndarray, "statistic assignment"]], Float[np.ndarray, " assignment"]
]


def _minimum(p: np.ndarray) -> np.ndarray:
    """The smallest; as many statistics as there are have an assignment of rank one each, and of
    equal minima that with the smaller product is farther.
    """
    smaller = np.log(p).mean(axis=0)
    return p.min(axis=0) - smaller / smaller.min() / 2 / p.shape[-1]


# of p-values inside (0, 1); small results are far from no difference
COMBINATIONS: dict[str, Combination] = {
    "minimum": _minimum,
    "arithmetic": lambda p: p.mean(axis=0),
    "geometric": lambda p: np.log(p).mean(axis=0),  # orders like the product of Fisher
    "harmonic": lambda p: -(1 / p).mean(axis=0),
    "cauchy": lambda p: -np.tan(np.pi * (0.5 - p)).mean(axis=0),  # arXiv:1808.09011
}


class Combined(NamedTuple):
    """The p-value of several statistics together.

    Attributes:
        p: (1 + k) / (N + 1) of the combination.
        z: the same in standard deviations, one-sided.
    """

    p: float
    z: float


def combined(nulls: Mapping[str, Null]) -> dict[str, Combined]:
    """Every combination of these statistics, by its name.

    >>> from amplify.estimators.permutations import permute
    >>> from amplify.estimators.statistics import MAX_KS, MEAN_KS
    >>> rng = np.random.default_rng(0)
    >>> samples = rng.normal(size=(100, 2)), rng.normal(0.8, 1, size=(100, 2))
    >>> combined(permute([MEAN_KS, MAX_KS], *samples, permutations=99))["minimum"].p
    0.01

    Args:
        nulls: of one call of `permute`, or of calls with the same samples, number of permutations
            and seed: the permutations of all must be the same.

    Raises:
        InputError: none, or permutations that are not the same.
    """
    if not nulls:
        raise InputError("statistics", "at least one", "none", "name some")
    first = max(nulls.values(), key=lambda null: len(null.part.shells))
    for null in nulls.values():
        if _permuted(null) != _permuted(first, len(null.part.shells)):
            got = f"other permutations of {null.statistic.name}"
            fix = "permute all statistics at once"
            raise InputError("statistics", "the same permutations for all", got, fix)
    found = {}
    for name, p in combined_p(np.stack([null.assigned for null in nulls.values()])).items():
        found[name] = Combined(float(p), significance(float(p)))
    return found


def _permuted(null: Null, shells: int | None = None) -> tuple[int, ...]:
    """What the permutations depend on."""
    sizes = (size for shell in null.part.shells[:shells] for size in (len(shell.rows), shell.first))
    return len(null.permuted), null.part.seed, *sizes


def combined_p(values: Float[np.ndarray, "statistic assignment"]) -> dict[str, float]:
    """The p-value of each combination from the values of every assignment of labels, the observed
    one first, larger ones being farther from no difference.
    """
    p = ranked(values)
    middle = p - 0.5 / values.shape[-1]  # never 0 nor 1, where logarithm and tangent end
    return {name: float(ranked(-of(middle))[0]) for name, of in COMBINATIONS.items()}
