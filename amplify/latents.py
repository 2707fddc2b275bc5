"""Points of the unit cube that generators turn into events: independent ones, or a scrambled Sobol
sequence.
"""

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray


def sobol_latents(seed: int, n: int, dim: int) -> Float[np.ndarray, "n dim"]:
    """N points of the scrambled Sobol sequence in the open unit cube, float32."""
    from scipy.stats import qmc  # which takes half a second to import

    points = qmc.Sobol(dim, scramble=True, rng=seed).random(n)
    return np.clip(points, 2.0**-33, 1 - 2.0**-24).astype(np.float32)


def uniform_latents(key: PRNGKeyArray, n: int, dim: int) -> Float[Array, "n dim"]:
    """N independent points in the open unit cube; half a float32 step away from both ends."""
    return jax.random.uniform(key, (n, dim)) + 2.0**-24
