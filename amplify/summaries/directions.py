"""Directions among many columns along which two samples differ, without a table of covariances.

The best linear combination of features z is a = C^-1 d, where d is the difference of their means
and C their covariance (Fisher's discriminant). Conjugate gradients find it in steps, each of which
reads the events once; the iterates are the directions of partial least squares, and stopping early
is what a ridge does (Phatak and de Hoog, J. Chemometrics 16 (2002) 361). Early ones see what many
columns have in common, late ones small differences between columns that go together.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Float32

from amplify.summaries.looks import Look, Sample

Product = Callable[[np.ndarray], np.ndarray]  # direction [column] -> covariance times it [column]
_RIDGE = 1e-4  # of a variance of one: columns may repeat one another
_TABLE = 1024  # columns up to which a table of covariances costs less than reading again


def directions(
    look: Look, gen: Sample, true: Sample, steps: Sequence[int]
) -> Float32[np.ndarray, "column step"]:
    """The iterates after so many steps, each of unit length.

    Args:
        look: the feature of each column.
        gen: generated events.
        true: true events.
        steps: increasing.
    """
    mean_gen, mean_true = _mean(look, gen), _mean(look, true)
    left = mean_true - mean_gen  # d - C a
    a, along = np.zeros_like(left), left.copy()
    covariance = (_table if len(left) <= _TABLE else _streamed)(look, gen, mean_gen)
    size = left @ left
    found = []
    for step in range(1, max(steps) + 1):
        if size > 0:
            product = covariance(along) + _RIDGE * along
            length = size / (along @ product)
            a = a + length * along
            left = left - length * product
            size, former = left @ left, size
            along = left + (size / former) * along
        if step in steps:
            found.append(a / max(float(np.linalg.norm(a)), 1e-30))
    return np.stack(found, axis=1).astype(np.float32)


def _mean(look: Look, sample: Sample) -> Float[np.ndarray, " column"]:
    return sum((share.astype(np.float32) @ look(x) for x, share in sample.blocks()), np.zeros(()))


def _table(look: Look, sample: Sample, mean: Float[np.ndarray, " column"]) -> Product:
    """The covariance, times a direction, from one reading."""
    table = np.zeros((len(mean), len(mean)))
    for x, share in sample.blocks():
        z = look(x)
        table += (z * share.astype(np.float32)[:, None]).T @ z
    table -= np.outer(mean, mean)
    return lambda direction: table @ direction


def _streamed(look: Look, sample: Sample, mean: Float[np.ndarray, " column"]) -> Product:
    """The same, read anew for every direction."""

    def product(direction: np.ndarray) -> np.ndarray:
        single, offset = direction.astype(np.float32), mean @ direction
        total = np.zeros(len(direction))
        for x, share in sample.blocks():
            z = look(x)
            total += (share * (z @ single - offset)).astype(np.float32) @ z
        return total

    return product
