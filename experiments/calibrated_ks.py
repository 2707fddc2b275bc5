"""Makes amplify/estimators/calibrated_ks.npz, quantiles of S(L) = sup_u |L g(u) + B(u)|: `python -m
experiments.calibrated_ks`, a minute on 2 cores.

B is a Brownian bridge and g(u) = phi(Phi^-1(u)) / phi(0) (docs/method, Differential
amplification). Simulated on a grid of u; the supremum between two grid points is drawn from its
exact law for a bridge with linear drift, so that the grid leaves no bias (docs/method, Reference
numbers, 8: -.75 / sqrt(points) for the bare maximum).
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.special import ndtr

from amplify.devices import use_all_cores
from amplify.estimators import calibrated
from experiments import study

L = np.concatenate([np.arange(0, 3, 0.125), np.arange(3, 8, 0.5), np.geomspace(8, 128, 13)])
# even steps in standard deviations: quantiles are nearly linear in them
LEVELS = ndtr(np.linspace(-3.5, 3.5, 57))


def main(
    trials: int = 1 << 20, points: int = 512, seed: int = 0, out: Path = calibrated.TABLE
) -> None:
    """Simulates and writes the table.

    Args:
        trials: bridges; the statistical error of a central quantile is about .6 / sqrt(trials).
        points: intervals of the grid.
        seed: of the bridges, which all L share, so that the table is smooth in L.
        out: file to write.
    """
    use_all_cores()
    batch, devices = 1 << 10, jax.device_count()
    draw = jax.pmap(jax.jit(partial(suprema, n=batch, points=points)))
    keys = jax.random.split(jax.random.key(seed), trials // batch).reshape(-1, devices)
    values = np.concatenate([np.asarray(draw(k)).reshape(-1, len(L)) for k in keys])
    quantiles = np.quantile(values, LEVELS, axis=0).T
    command = (
        f"python -m experiments.calibrated_ks --trials {trials} --points {points} --seed {seed}"
    )
    np.savez(
        out,
        L=L,
        levels=LEVELS,
        quantiles=quantiles.astype(np.float32),
        mean=values.mean(axis=0),
        command=command,
    )
    means = zip(L.tolist(), values.mean(axis=0).tolist(), strict=True)
    print(out, {x: round(mean, 4) for x, mean in means if x in (0, 1, 2, 4)})


def suprema(key: PRNGKeyArray, n: int, points: int) -> Float[Array, "n L"]:
    """N draws of S(L) for every L."""
    key_walk, key_top, key_bottom = jax.random.split(key, 3)
    u = jnp.linspace(0.0, 1.0, points + 1)
    bump = norm.pdf(ndtri(jnp.clip(u, 1e-6, 1 - 1e-6))) / norm.pdf(0.0)
    shape = jnp.where((u > 0) & (u < 1), bump, 0.0)
    walk = jnp.cumsum(jax.random.normal(key_walk, (n, points)), axis=1) / jnp.sqrt(points)
    bridge = jnp.pad(walk, ((0, 0), (1, 0))) - walk[:, -1:] * u[None]
    top, bottom = (
        -2 / points * jnp.log(jax.random.uniform(k, (n, points), minval=1e-12))
        for k in (key_top, key_bottom)
    )

    def supremum(drift: Float[Array, ""]) -> Float[Array, " n"]:
        path = bridge + drift * shape[None]
        left, right = path[:, :-1], path[:, 1:]
        square = (right - left) ** 2
        highest = (left + right + jnp.sqrt(square + top)) / 2
        lowest = (left + right - jnp.sqrt(square + bottom)) / 2
        return jnp.maximum(highest.max(axis=1), -lowest.min(axis=1))

    return jax.lax.map(supremum, jnp.asarray(L)).T


if __name__ == "__main__":
    study.run(main)
