"""A few Gaussian bumps, chosen greedily: the family of ratios that sees local defects, a spike too
many or a missing resonance.

Polynomials spread a local difference over all of space and lose most of it at the threshold r = 1
(docs/method, Differential amplification: efficiency .67 at most for a blob). A model with one bump
is constant elsewhere. Each bump more has to pay for having been chosen among many.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from amplify.summaries.least_squares import FOLDS, Family, Models, Teaching, fold_means, streamed

_RIDGE = 1e-3


def bumps(
    *,
    most: int = 3,
    centres: int = 96,
    widths: tuple[float, ...] = (0.15, 0.3, 0.6),
    penalty: float = 3.0,
    most_gen: int = 10_000,
) -> Family:
    """Models with one, two ... `most` bumps.

    Args:
        most: bumps.
        centres: true and as many generated events that bumps may sit on.
        widths: in standard deviations of the generated events, times sqrt(dim / 2), as distances
            grow with the dimension.
        penalty: in the logarithm of the weight, for each bump; at 3 smooth differences keep the
            efficiency that polynomials have.
        most_gen: generated events in the fit.
    """

    def family(teaching: Teaching) -> Models:
        gen = teaching.gen[:most_gen]
        share = teaching.share_gen[:most_gen] / teaching.share_gen[:most_gen].sum()
        centre, width = gen.mean(axis=0), gen.std(axis=0)
        width = np.where(width > 0, width, 1.0) * np.sqrt(gen.shape[1] / 2)

        def scaled(x: np.ndarray) -> np.ndarray:
            return ((x - centre) / width).astype(np.float32)

        sites = scaled(np.concatenate([teaching.true[:centres], gen[:centres]]))
        phi_gen = _bump(scaled(gen), sites, widths)
        mean = share @ phi_gen
        phi_gen -= mean.astype(np.float32)
        phi_true = _bump(scaled(teaching.true), sites, widths)
        phi_true -= mean.astype(np.float32)
        size = share @ phi_gen**2 + _RIDGE

        def greedy(d: np.ndarray) -> list[tuple[list[int], np.ndarray]]:
            """(bumps, their coefficients) after each step: the next bump is the one that lowers the
            loss most.
            """
            chosen: list[int] = []
            steps, left = [], d
            for _ in range(most):
                chosen = [*chosen, int(np.argmax(left**2 / size))]
                phi = phi_gen[:, chosen]
                weighted = phi * share[:, None]
                curvature = weighted.T @ phi + _RIDGE * np.eye(len(chosen))
                a = np.linalg.solve(curvature, d[chosen])
                steps.append((chosen, a))
                left = d - (weighted @ a).astype(np.float32) @ phi_gen
            return steps

        held, kept = fold_means(phi_true, teaching.share_true)
        loss = np.zeros(most)
        for k in range(FOLDS):
            for step, (chosen, a) in enumerate(greedy(kept[k])):
                square = share @ (phi_gen[:, chosen] @ a) ** 2
                loss[step] += (0.5 * square - held[k, chosen] @ a) / FOLDS
        steps = greedy(teaching.share_true.astype(np.float32) @ phi_true)
        used = steps[-1][0]
        coefficients = np.zeros((most, most))
        for step, (chosen, a) in enumerate(steps):
            for j, height in zip(chosen, a, strict=True):
                coefficients[step, used.index(j)] = height
        where, which = np.array(used) % len(sites), np.array(used) // len(sites)

        def features(x: np.ndarray) -> np.ndarray:
            z = scaled(x)
            chosen = zip(where, which, strict=True)
            columns = [_bump(z, sites[[i]], (widths[w],)) for i, w in chosen]
            return np.concatenate(columns, axis=1) - mean[used]

        def value(x: np.ndarray, a: np.ndarray) -> np.ndarray:
            chosen_widths = np.asarray(widths)[which]
            total = streamed(_bumps, x, centre, width, sites[where], chosen_widths, a)
            return total - mean[used] @ a

        return Models(features, coefficients, loss, penalty * np.arange(1, most + 1), value)

    return family


@jax.jit
def _bumps(x: Any, centre: Any, width: Any, sites: Any, widths: Any, a: Any) -> Any:
    """Sum of a_k times bumps around sites [k, dim] of the columns x [dim, n]."""
    z = ((x - centre[:, None]) / width[:, None]).astype(jnp.float32)
    heights = []
    for k in range(len(sites)):
        apart = sum((z[i] - sites[k, i]) ** 2 for i in range(len(z)))
        heights.append(a[k] * jnp.exp(apart / (-2 * widths[k] ** 2).astype(jnp.float32)))
    return sum(heights)


def _bump(z: np.ndarray, sites: np.ndarray, widths: tuple[float, ...]) -> np.ndarray:
    """Gaussian bumps of each width of the events z [n, dim] around the sites [n, width * site],
    single precision.
    """
    apart = (z**2).sum(axis=1)[:, None] + (sites**2).sum(axis=1)[None] - 2 * z @ sites.T
    np.maximum(apart, 0.0, out=apart)
    return np.concatenate([np.exp(apart / np.float32(-2 * width**2)) for width in widths], axis=1)
