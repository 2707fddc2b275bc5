"""Chebyshev polynomials of the standardised events: the family of ratios that sees smooth differences early (method.md section 3)."""

from functools import lru_cache
from itertools import combinations_with_replacement
from math import comb

import numpy as np

from amplify.summaries.least_squares import Family, Models, Teaching, fold_means

PENALTIES = tuple(10.0 ** np.arange(-7, 1.01, 0.5))


def polynomials(
    degrees: tuple[int, ...] = (2, 4, 6), *, damping: float = 0.6, penalties: tuple[float, ...] = PENALTIES, reach: float = 3.0, most_terms: int = 300
) -> Family:
    """One model for each total degree and each ridge penalty lambda.

    Args:
        degrees: total degrees; those with more than `most_terms` polynomials are left out, and products of columns where all have more.
        damping: a term of degree k is damped by damping^k, which makes rough ratios cost more.
        penalties: lambda.
        reach: standard deviations that are mapped to [-1, 1]; an event beyond counts as at the edge.
        most_terms: polynomials of the largest degree.
    """

    def family(teaching: Teaching) -> Models:
        centre = teaching.share_gen @ teaching.gen
        width = np.sqrt(teaching.share_gen @ (teaching.gen - centre) ** 2)
        scale = reach * np.where(width > 0, width, 1.0)
        powers = _terms(teaching.gen.shape[1], degrees, most_terms)
        degree = powers.sum(axis=1)

        def raw(x: np.ndarray) -> np.ndarray:
            return _chebyshev(np.clip((x - centre) / scale, -1, 1), powers) * damping**degree

        phi_gen = raw(teaching.gen)
        mean = teaching.share_gen @ phi_gen
        phi_gen -= mean
        covariance = (phi_gen * teaching.share_gen[:, None]).T @ phi_gen
        phi_true = raw(teaching.true) - mean
        held, kept = fold_means(phi_true, teaching.share_true)
        d = teaching.share_true @ phi_true
        losses, solutions = [], []
        for top in degrees:
            if top > degree.max():
                continue
            used = degree <= top
            h, axes = np.linalg.eigh(covariance[np.ix_(used, used)])
            penalised = np.maximum(h, 0.0) + np.asarray(penalties)[:, None]  # [penalty, term]
            a = (kept[:, used] @ axes)[:, None, :] / penalised  # [fold, penalty, term]
            losses.append((0.5 * a**2 * h - a * (held[:, used] @ axes)[:, None, :]).sum(axis=2).mean(axis=0))
            solution = np.zeros((len(penalties), len(degree)))
            solution[:, used] = (d[used] @ axes / penalised) @ axes.T  # lower degrees are a part of the highest basis
            solutions.append(solution)
        loss = np.concatenate(losses)
        return Models(lambda x: raw(x) - mean, np.concatenate(solutions), loss, np.full(len(loss), np.log(len(loss))))

    return family


@lru_cache(maxsize=32)
def _terms(dim: int, degrees: tuple[int, ...], most: int) -> np.ndarray:
    """Powers [term, dim] of all products up to the largest of the total degrees that has not too many; T1 and T2 of each column where all have."""
    top = max((degree for degree in degrees if comb(dim + degree, degree) - 1 <= most), default=0)
    if not top:
        return np.concatenate([np.eye(dim, dtype=int), 2 * np.eye(dim, dtype=int)])
    every = (which for degree in range(1, top + 1) for which in combinations_with_replacement(range(dim), degree))
    return np.array([np.bincount(which, minlength=dim) for which in every])


def _chebyshev(u: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Products of Chebyshev polynomials T_k(u_i) [n, term]."""
    single = np.ones((powers.max() + 1, *u.shape))
    single[1] = u
    for k in range(2, len(single)):
        single[k] = 2 * u * single[k - 1] - single[k - 2]
    result = single[powers[:, 0], :, 0]
    for i in range(1, u.shape[1]):
        moved = powers[:, i] > 0
        result[moved] *= single[powers[moved, i], :, i]
    return result.T
