"""The space-time algebra Cl(1,3): multivectors with 16 components, their products, Lorentz
transformations and embeddings.

Components are ordered by grade: 1; e0 e1 e2 e3; e01 e02 e03 e12 e13 e23; e012 e013 e023 e123;
e0123, with metric (+, -, -, -). Everything here acts on arrays [..., 16] and is the plain
definition; the network (amplify.nets.lgatr) computes the same on split components, which is faster.
Source: arXiv:2405.14806, arXiv:2411.00446.
"""

import itertools
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

METRIC = (1.0, -1.0, -1.0, -1.0)
# component i is the product of the basis vectors BLADES[i]
BLADES = tuple(blade for grade in range(5) for blade in itertools.combinations(range(4), grade))
GRADES = tuple(len(blade) for blade in BLADES)


def blade_product(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """Product of two basis blades: the resulting blade and its sign.

    Basis vectors are sorted by neighbour exchanges, each with a factor -1 (they anticommute); equal
    neighbours give their square, the metric.
    """
    word, sign = list(left + right), 1
    for end in range(len(word) - 1, 0, -1):
        for i in range(end):
            if word[i] > word[i + 1]:
                word[i], word[i + 1], sign = word[i + 1], word[i], -sign
    result: list[int] = []
    for vector in word:
        if result and result[-1] == vector:
            result.pop()
            sign *= int(METRIC[vector])
        else:
            result.append(vector)
    return tuple(result), sign


@lru_cache
def product_table() -> np.ndarray:
    """Structure constants t [16, 16, 16] of the geometric product, (x y)_k = sum_ij t[i, j, k] x_i
    y_j; 256 are not zero.
    """
    table = np.zeros((16, 16, 16))
    for (i, left), (j, right) in itertools.product(enumerate(BLADES), repeat=2):
        blade, sign = blade_product(left, right)
        table[i, j, BLADES.index(blade)] = sign
    return table


def geometric_product(
    x: Float[Array, "*batch 16"], y: Float[Array, "*batch 16"]
) -> Float[Array, "*batch 16"]:
    """Geometric product x y, which contains every other product of the algebra."""
    return jnp.einsum("ijk,...i,...j->...k", jnp.asarray(product_table(), x.dtype), x, y)


def inner_product(
    x: Float[Array, "*batch 16"], y: Float[Array, "*batch 16"]
) -> Float[Array, "*batch"]:
    """Invariant <x, y> = scalar part of (reverse of x) y; diagonal, with the sign of each
    component's square under reversal.
    """
    signs = [blade_product(blade[::-1], blade)[1] for blade in BLADES]
    metric = jnp.asarray(signs, x.dtype).reshape((1,) * (x.ndim - 1) + (16,))
    return jnp.sum(x * y * metric, axis=-1)


def transform(
    multivectors: Float[Array, "*batch 16"], lorentz: Float[Array, "4 4"]
) -> Float[Array, "*batch 16"]:
    """Lorentz transformation of every grade; `lorentz` acts on vectors as v -> L v. A blade's
    components turn with the minors of L.
    """
    matrix = jnp.zeros((16, 16), multivectors.dtype).at[0, 0].set(1.0)
    for grade in range(1, 5):
        blades = np.array(list(itertools.combinations(range(4), grade)))
        minors = jnp.linalg.det(lorentz[blades[:, None, :, None], blades[None, :, None, :]])
        rows = slice(GRADES.index(grade), GRADES.index(grade) + len(blades))
        matrix = matrix.at[rows, rows].set(minors)
    return multivectors @ matrix.T


def embed_vector(vectors: Float[Array, "*batch 4"]) -> Float[Array, "*batch 16"]:
    """Multivectors with four-vectors (E, px, py, pz) as grade 1 and zero elsewhere."""
    return jnp.pad(vectors, [(0, 0)] * (vectors.ndim - 1) + [(1, 11)])


def extract_vector(multivectors: Float[Array, "*batch 16"]) -> Float[Array, "*batch 4"]:
    """The four-vector in a multivector."""
    return multivectors[..., 1:5]


def embed_scalar(scalars: Float[Array, "*batch"]) -> Float[Array, "*batch 16"]:
    """Multivectors with scalars as grade 0 and zero elsewhere."""
    return jnp.pad(scalars[..., None], [(0, 0)] * scalars.ndim + [(0, 15)])


def extract_scalar(multivectors: Float[Array, "*batch 16"]) -> Float[Array, "*batch"]:
    """The scalar in a multivector."""
    return multivectors[..., 0]


def symmetry_breaking(*, beam: bool = True, time: bool = True) -> Float[Array, "reference 16"]:
    """References that reduce the Lorentz symmetry to what a collider leaves of it.

    The beam is the plane transverse to it (bivector e12): boosts along z, rotations about z and all
    that map the beam onto itself up to orientation survive. The time direction (vector e0) leaves
    rotations. Both together leave rotations about the beam (arXiv:2411.00446).

    Args:
        beam: include the xy plane.
        time: include the time direction.
    """
    rows = [8] * beam + [1] * time
    return jax.nn.one_hot(jnp.asarray(rows, int), 16, dtype=jnp.result_type(float))
