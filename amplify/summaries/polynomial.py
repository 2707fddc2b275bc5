"""Chebyshev polynomials of the standardised events: the family of ratios that sees smooth
differences early (docs/method, Differential amplification).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from itertools import combinations_with_replacement
from math import comb
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from amplify.errors import InputError
from amplify.summaries.least_squares import (
    FOLDS,
    Models,
    ModelsOfTrue,
    TwoStepFamily,
    fold_means,
    fold_sums,
    streamed,
)

PENALTIES = tuple(10.0 ** np.arange(-7, 1.01, 0.5))
_NOISE = 3.0  # times the most negative variance of signed weights
_ROUNDING = 1e-9  # of the largest variance: less is no sign of signed weights
_IN_CACHE, _FEWEST = 1 << 17, 128  # polynomials of a block of events, which has at least so many
_TRACED = 30  # columns from which on a table costs less than compiling the sum of all terms
_MOST_COLUMNS = 1000  # whose covariances are diagonalised within seconds
_MOST_NUMBERS = 1 << 25  # polynomials of generated events in memory


def polynomials(
    degrees: tuple[int, ...] = (2, 4, 6),
    *,
    damping: float = 0.6,
    penalties: tuple[float, ...] = PENALTIES,
    reach: float = 3.0,
    most_terms: int = 300,
) -> TwoStepFamily:
    """One model for each total degree and each ridge penalty lambda.

    Args:
        degrees: total degrees; those with more than `most_terms` polynomials are left out, and
            products of columns where all have more.
        damping: a term of degree k is damped by damping^k, which makes rough ratios cost more.
        penalties: lambda.
        reach: standard deviations that are mapped to [-1, 1]; an event beyond counts as at the
            edge.
        most_terms: polynomials of the largest degree.

    Raises:
        InputError: more columns than can be handled without condensing them.
    """

    def on_generated(gen: np.ndarray, share_gen: np.ndarray) -> ModelsOfTrue:
        if gen.shape[1] > _TRACED:
            gen, share_gen = _few_enough(gen, share_gen)
        centre = share_gen @ gen
        width = np.sqrt(share_gen @ (gen - centre) ** 2)
        scale = reach * np.where(width > 0, width, 1.0)
        powers = _terms(gen.shape[1], degrees, most_terms)
        degree = powers.sum(axis=1)
        table = _Table.of(centre, scale, powers, damping)
        sums, products = _moments(table, gen, share_gen)
        mean = sums.sum(axis=0)
        held_gen, others_gen = fold_means(sums, share_gen)
        covariance = products - mean[:, None] * mean
        # lower degrees are a part of the highest basis
        bases = [_Basis.of(covariance, degree <= top) for top in degrees if top <= degree.max()]
        polynomial = partial(_polynomial, tuple(map(tuple, powers.tolist())))

        def value(x: np.ndarray, a: np.ndarray) -> np.ndarray:
            if x.shape[1] > _TRACED:
                blocks = [a @ phi for _, phi in table.blocks(x)]
                return np.concatenate([np.zeros(0), *blocks]) - mean @ a
            return streamed(polynomial, x, centre, scale, a * damping**degree) - mean @ a

        def models(true: np.ndarray, share_true: np.ndarray) -> Models:
            sums = _sums(table, true, share_true)
            held, others = fold_means(sums, share_true)
            held, others = held - held_gen, others - others_gen
            d = sums.sum(axis=0) - mean
            loss = np.concatenate([basis.loss(held, others, penalties) for basis in bases])
            coefficients = np.concatenate([basis.solutions(d, penalties) for basis in bases])
            penalty = np.full(len(loss), np.log(len(loss)))

            def features(x: np.ndarray) -> np.ndarray:
                blocks = [phi for _, phi in table.blocks(x)]
                return np.concatenate([np.zeros((len(mean), 0)), *blocks], axis=1).T - mean

            return Models(features, coefficients, loss, penalty, value)

        return models

    return TwoStepFamily(on_generated)


def _few_enough(gen: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As many events of many columns as memory is meant to hold polynomials of."""
    columns = gen.shape[1]
    if columns > _MOST_COLUMNS:
        fix = "condense them first, as amplify.learned_ratio does"
        raise InputError("polynomials", f"at most {_MOST_COLUMNS} columns", str(columns), fix)
    most = _MOST_NUMBERS // (2 * columns)
    return gen[:most], share[:most] / share[:most].sum()


class _Basis(NamedTuple):
    """The polynomials up to a degree, in axes where their covariance is diagonal.

    Attributes:
        used: which of all terms they are [term].
        variance: along each axis.
        axes: of the used terms [used, axis].
    """

    used: np.ndarray
    variance: np.ndarray
    axes: np.ndarray

    @classmethod
    def of(cls, covariance: np.ndarray, used: np.ndarray) -> "_Basis":
        """That of the covariance of all terms.

        Signed weights can make it negative along some axes: that is noise, and so are positive
        variances of its size. Models along them would seem to fit beyond all measure.
        """
        variance, axes = np.linalg.eigh(covariance[np.ix_(used, used)])
        noise = max(-float(variance[0]), 0.0)
        known = variance > (_NOISE * noise if noise > _ROUNDING * variance[-1] else -np.inf)
        return cls(used, variance[known], axes[:, known])

    def loss(
        self, held: np.ndarray, others: np.ndarray, penalties: Sequence[float]
    ) -> Float[np.ndarray, " penalty"]:
        """Cross-validated, from the means of phi in the folds and in all others [fold, term]."""
        a = (others[:, self.used] @ self.axes)[:, None, :] / self._penalised(penalties)
        gained = a * (held[:, self.used] @ self.axes)[:, None, :]  # [fold, penalty, axis]
        return (0.5 * a**2 * self.variance - gained).sum(axis=2).mean(axis=0)

    def solutions(
        self, d: np.ndarray, penalties: Sequence[float]
    ) -> Float[np.ndarray, "penalty term"]:
        """Coefficients of all terms, given the mean of phi under truth [term]."""
        solution = np.zeros((len(penalties), len(self.used)))
        solution[:, self.used] = (
            d[self.used] @ self.axes / self._penalised(penalties)
        ) @ self.axes.T
        return solution

    def _penalised(self, penalties: Sequence[float]) -> Float[np.ndarray, "penalty axis"]:
        return np.maximum(self.variance, 0.0) + np.asarray(penalties)[:, None]


@lru_cache(maxsize=32)
def _terms(dim: int, degrees: tuple[int, ...], most: int) -> np.ndarray:
    """Powers [term, dim] of all products up to the largest of the total degrees that has not too
    many; T1 and T2 of each column where all have.
    """
    top = max((degree for degree in degrees if comb(dim + degree, degree) - 1 <= most), default=0)
    if not top:
        return np.concatenate([np.eye(dim, dtype=int), 2 * np.eye(dim, dtype=int)])
    every = (
        which
        for degree in range(1, top + 1)
        for which in combinations_with_replacement(range(dim), degree)
    )
    return np.array([np.bincount(which, minlength=dim) for which in every])


class _Table(NamedTuple):
    """Products of Chebyshev polynomials T_k(u_i) of events: each is one of a lower degree, which
    stands before it, times a polynomial of its last column.

    Attributes:
        centre: of each column.
        scale: a column is at the edge so far from its centre.
        damping: T_k is multiplied by damping^k.
        terms: (place of the product of a lower degree, or None; last column; its k) of each.
    """

    centre: Float[np.ndarray, " dim"]
    scale: Float[np.ndarray, " dim"]
    damping: float
    terms: list[tuple[int | None, int, int]]

    @classmethod
    def of(cls, centre: Any, scale: Any, powers: np.ndarray, damping: float) -> "_Table":
        """That of products with these powers [term, dim]."""
        rows = [tuple(row) for row in powers.tolist()]
        place = {row: k for k, row in enumerate(rows)}
        terms = []
        for row in rows:
            last = max(i for i, power in enumerate(row) if power)
            lower = tuple(0 if i == last else power for i, power in enumerate(row))
            terms.append((place.get(lower), last, row[last]))
        return cls(centre, scale, damping, terms)

    def blocks(self, x: Float[np.ndarray, "n dim"]) -> Iterator[tuple[int, np.ndarray]]:
        """The first event and the products [term, event] of each block of events, which stay in
        the cache.
        """
        size = max(_IN_CACHE // len(self.terms), _FEWEST)
        for start in range(0, len(x), size):
            u = np.clip((x[start : start + size] - self.centre) / self.scale, -1, 1)
            yield start, self._block(np.ascontiguousarray(u.T))

    def _block(self, columns: Float[np.ndarray, "dim n"]) -> Float[np.ndarray, "term n"]:
        single = [np.ones_like(columns), columns]
        for _ in range(2, max(power for *_, power in self.terms) + 1):
            single.append(2 * columns * single[-1] - single[-2])
        for power, values in enumerate(single):
            single[power] = values * self.damping**power
        phi = np.empty((len(self.terms), columns.shape[1]))
        for row, (lower, column, power) in zip(phi, self.terms, strict=True):
            factor = single[power][column]
            if lower is None:
                row[:] = factor
            else:
                np.multiply(phi[lower], factor, out=row)
        return phi


def _sums(
    table: _Table, x: Float[np.ndarray, "n dim"], share: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "fold term"]:
    """Sums of the terms in each fold."""
    sums = np.zeros((FOLDS, len(table.terms)))
    for first, phi in table.blocks(x):
        sums += fold_sums(phi.T, share[first : first + phi.shape[1]], first)
    return sums


def _moments(
    table: _Table, x: Float[np.ndarray, "n dim"], share: Float[np.ndarray, " n"]
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the terms in each fold [fold, term], and of their products [term, term]."""
    sums, products = np.zeros((FOLDS, len(table.terms))), np.zeros((len(table.terms),) * 2)
    alike = len(share) > 0 and bool((share == share[0]).all())
    for first, phi in table.blocks(x):
        of_block = share[first : first + phi.shape[1]]
        sums += fold_sums(phi.T, of_block, first)
        # of a matrix with itself BLAS computes one half
        products += phi @ phi.T if alike else phi @ (phi * of_block).T
    return sums, products * share[0] if alike else products


@partial(jax.jit, static_argnums=0)
def _polynomial(
    powers: tuple[tuple[int, ...], ...], x: Any, centre: Any, scale: Any, a: Any
) -> Any:
    """Sum of a_k times the products of Chebyshev polynomials of the columns x [dim, n]; one fused
    loop over events, 20 ns each for 125 terms.
    """
    u = jnp.clip((x - centre[:, None]) / scale[:, None], -1, 1)
    single = []
    for column in u:
        values = [jnp.ones_like(column), column]
        for _ in range(2, max(map(max, powers)) + 1):
            values.append(2 * column * values[-1] - values[-2])
        single.append(values)
    return _nested(list(enumerate(powers)), single, a, 0)


def _nested(
    terms: list[tuple[int, tuple[int, ...]]], single: list[list[Any]], a: Any, column: int
) -> Any:
    """The terms, grouped by the power of this column, then of the next: few multiplications."""
    if column == len(single):
        return a[terms[0][0]]
    groups: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
    for term in terms:
        groups.setdefault(term[1][column], []).append(term)
    return sum(
        _nested(group, single, a, column + 1) * single[column][power]
        for power, group in groups.items()
    )
