"""A few Gaussian bumps, chosen greedily: the family of ratios that sees local defects, a spike too
many or a missing resonance.

Polynomials spread a local difference over all of space and lose most of it at the threshold r = 1
(docs/method, Differential amplification: efficiency .67 at most for a blob). A model with one bump
is constant elsewhere. Each bump more has to pay for having been chosen among many.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

from amplify.summaries.least_squares import (
    FOLDS,
    Models,
    ModelsOfTrue,
    TwoStepFamily,
    fold_means,
    fold_sums,
    streamed,
)

_RIDGE = 1e-3
_BLOCK = 128  # events whose bumps stay in the cache
_LEAST_EXPONENT = np.float32(-86)  # e^-88 is denormal in single precision, and five times as slow

Step = tuple[list[int], np.ndarray]  # bumps that were chosen so far, their coefficients


def bumps(
    *,
    most: int = 3,
    centres: int = 96,
    widths: tuple[float, ...] = (0.15, 0.3, 0.6),
    penalty: float = 3.0,
    most_gen: int = 20_000,
    most_true: int = 50_000,
) -> TwoStepFamily:
    """Models with one, two ... `most` bumps.

    Args:
        most: bumps.
        centres: true and as many generated events that bumps may sit on.
        widths: in standard deviations of the generated events, times sqrt(dim / 2), as distances
            grow with the dimension.
        penalty: in the logarithm of the weight, for each bump; at 3 smooth differences keep the
            efficiency that polynomials have.
        most_gen: generated events in the fit.
        most_true: true events in the fit.
    """

    def on_generated(gen: np.ndarray, share: np.ndarray) -> ModelsOfTrue:
        centre, width = gen.mean(axis=0), gen.std(axis=0)
        width = np.where(width > 0, width, 1.0) * np.sqrt(gen.shape[1] / 2)

        def scaled(x: np.ndarray) -> np.ndarray:
            return ((x - centre) / width).astype(np.float32)

        z_gen = scaled(gen)
        sites_gen = z_gen[:centres]
        around_generated = _Table(z_gen, sites_gen, widths, share)

        def models(true: np.ndarray, share_true: np.ndarray) -> Models:
            true = true[:most_true]
            share_true = share_true[:most_true] / share_true[:most_true].sum()
            z_true = scaled(true)
            sites_true = z_true[:centres]
            around_true = _Table(z_gen, sites_true, widths, share)
            candidates = _Candidates([around_true, around_generated], share)
            sites = np.concatenate([sites_true, sites_gen])
            mean = candidates.mean

            phi_true = _bump(z_true, sites, widths).reshape(len(z_true), -1)
            phi_true -= mean.astype(np.float32)
            held, others = fold_means(fold_sums(phi_true, share_true), share_true)
            held -= candidates.held
            others -= candidates.others
            loss = candidates.loss(held, others, most)
            steps = candidates.greedy(share_true.astype(np.float32) @ phi_true, most)
            used, coefficients = _of_all_steps(steps)
            which_width, which_site = np.divmod(used, len(sites))
            used_sites, used_widths = sites[which_site], np.asarray(widths)[which_width]

            def features(x: np.ndarray) -> np.ndarray:
                z = scaled(x)
                pairs = zip(used_sites, used_widths, strict=True)
                columns = [_bump(z, site[None], [spread])[:, 0] for site, spread in pairs]
                return np.concatenate(columns, axis=1) - mean[used]

            def value(x: np.ndarray, a: np.ndarray) -> np.ndarray:
                total = streamed(_bumps, x, centre, width, used_sites, used_widths, a)
                return total - mean[used] @ a

            return Models(features, coefficients, loss, penalty * np.arange(1, most + 1), value)

        return models

    return TwoStepFamily(on_generated, most_gen)


class _Table:
    """Bumps around sites, as the generated events see them.

    Attributes:
        phi: bumps less their mean.
        mean: that was subtracted [width, site].
        square: mean square of phi [width, site].
        held: mean of phi in each fold [fold, width, site].
        others: in all others.
    """

    def __init__(
        self,
        z: Float32[np.ndarray, "n dim"],
        sites: Float32[np.ndarray, "site dim"],
        widths: Sequence[float],
        share: Float[np.ndarray, " n"],
    ) -> None:
        self.phi = _bump(z, sites, widths)
        self.mean = np.zeros(self.phi.shape[1:])
        self.square = np.zeros(self.phi.shape[1:])
        # sums are in double precision, and so are the bumps of a few events at a time
        blocks = [slice(start, start + _BLOCK) for start in range(0, len(z), _BLOCK)]
        for rows in blocks:
            self.mean += np.tensordot(share[rows], self.phi[rows], 1)
        subtracted = self.mean.astype(np.float32)
        for rows in blocks:
            self.phi[rows] -= subtracted
            self.square += np.tensordot(share[rows], self.phi[rows] ** 2, 1)
        of_folds = fold_means(fold_sums(self.phi.reshape(len(z), -1), share), share)
        self.held, self.others = (means.reshape(FOLDS, *self.mean.shape) for means in of_folds)


class _Candidates:
    """All bumps that may be chosen, numbered by width, then by site, and the second moments under
    the generator that choosing needs: of bumps that were chosen once, with all others.

    Attributes:
        mean: of the bumps under the generator [bump].
        held: their means in each fold of the generated events, less those [fold, bump].
        others: in all others.
    """

    def __init__(self, tables: Sequence[_Table], share: Float[np.ndarray, " n"]) -> None:
        self.mean = np.concatenate([table.mean for table in tables], axis=1).ravel()
        self._square = np.concatenate([table.square for table in tables], axis=1).ravel()
        of_folds = zip(*((table.held, table.others) for table in tables), strict=True)
        self.held, self.others = (
            np.concatenate(means, axis=2).reshape(FOLDS, -1) for means in of_folds
        )
        self._phi = [table.phi for table in tables]
        self._share = share
        self._columns: dict[int, np.ndarray] = {}
        self._moments: dict[int, np.ndarray] = {}

    def loss(
        self,
        held: Float[np.ndarray, "fold bump"],
        others: Float[np.ndarray, "fold bump"],
        most: int,
    ) -> Float[np.ndarray, " step"]:
        """Cross-validated loss after each step: the mean of the bumps in all other folds chooses,
        that in the fold tests.
        """
        loss = np.zeros(most)
        for mean_held, mean_others in zip(held, others, strict=True):
            for step, (chosen, a) in enumerate(self.greedy(mean_others, most)):
                # signed weights may make it negative, which no square is
                square = max(self._share @ (self.columns(chosen) @ a) ** 2, 0.0)
                loss[step] += (0.5 * square - mean_held[chosen] @ a) / FOLDS
        return loss

    def greedy(self, d: Float[np.ndarray, " bump"], most: int) -> list[Step]:
        """The next bump is the one that lowers the loss most, given the mean of all bumps under
        truth.
        """
        steps: list[Step] = []
        chosen: list[int] = []
        left: np.ndarray = d
        for _ in range(most):
            gain = left**2 / (np.maximum(self._square, 0.0) + _RIDGE)
            chosen = [*chosen, int(np.argmax(gain))]
            phi = self.columns(chosen)
            covariance = (phi * self._share[:, None]).T @ phi
            a = np.linalg.solve(covariance + _RIDGE * np.eye(len(chosen)), d[chosen])
            steps.append((chosen, a))
            if len(steps) < most:
                left = d - a @ np.stack([self._moments_with(bump) for bump in chosen])
        return steps

    def columns(self, chosen: Sequence[int]) -> Float[np.ndarray, "n chosen"]:
        """These bumps of the generated events."""
        return np.stack([self._column(bump) for bump in chosen], axis=1)

    def _column(self, bump: int) -> Float[np.ndarray, " n"]:
        if bump not in self._columns:
            width, site = divmod(bump, sum(phi.shape[2] for phi in self._phi))
            for phi in self._phi:
                if site < phi.shape[2]:
                    self._columns[bump] = phi[:, width, site].astype(np.float64)
                    break
                site -= phi.shape[2]
        return self._columns[bump]

    def _moments_with(self, bump: int) -> Float32[np.ndarray, " bump"]:
        """Mean products of this bump with all."""
        if bump not in self._moments:
            weighted = (self._share * self._column(bump)).astype(np.float32)
            moments = [np.tensordot(weighted, phi, 1) for phi in self._phi]
            self._moments[bump] = np.concatenate(moments, axis=1).ravel()
        return self._moments[bump]


def _of_all_steps(steps: Sequence[Step]) -> tuple[list[int], Float[np.ndarray, "step used"]]:
    """The bumps of the last step, and the coefficients that each step gives them."""
    used = steps[-1][0]
    coefficients = np.zeros((len(steps), len(used)))
    for step, (chosen, a) in enumerate(steps):
        for bump, height in zip(chosen, a, strict=True):
            coefficients[step, used.index(bump)] = height
    return used, coefficients


@jax.jit
def _bumps(x: Any, centre: Any, width: Any, sites: Any, widths: Any, a: Any) -> Any:
    """Sum of a_k times bumps around sites [k, dim] of the columns x [dim, n]."""
    z = ((x - centre[:, None]) / width[:, None]).astype(jnp.float32)
    heights = []
    for k in range(len(sites)):
        apart = sum((z[i] - sites[k, i]) ** 2 for i in range(len(z)))
        heights.append(a[k] * jnp.exp(apart / (-2 * widths[k] ** 2).astype(jnp.float32)))
    return sum(heights)


def _bump(
    z: Float32[np.ndarray, "n dim"],
    sites: Float32[np.ndarray, "site dim"],
    widths: Sequence[float],
) -> Float32[np.ndarray, "n width site"]:
    """Gaussian bumps of each width of the events z around the sites."""
    phi = np.empty((len(z), len(widths), len(sites)), np.float32)
    products = 2 * z @ sites.T
    norm, site_norm = (z**2).sum(axis=1)[:, None], (sites**2).sum(axis=1)[None]
    for start in range(0, len(z), _BLOCK):
        rows = slice(start, start + _BLOCK)
        apart = norm[rows] + site_norm - products[rows]
        np.maximum(apart, 0.0, out=apart)
        for k, width in enumerate(widths):
            exponent = apart / np.float32(-2 * width**2)
            np.exp(np.maximum(exponent, _LEAST_EXPONENT, out=exponent), out=phi[rows, k])
    return phi
