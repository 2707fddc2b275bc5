"""The algebra of space-time against its definition: e_i e_j = -e_j e_i, e_0 e_0 = 1, e_k e_k = -1,
and products of matrices that obey it.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.nets import algebra

SIGMA = [np.array(m) for m in ([[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]])]
# Dirac's matrices
GAMMA = [np.diag([1, 1, -1, -1]), *(np.kron(np.array([[0, 1], [-1, 0]]), s) for s in SIGMA)]
BLADES = [blade for grade in range(5) for blade in itertools.combinations(range(4), grade)]


def _matrix(multivector):
    """The multivector as a matrix: blades are products of Dirac's matrices."""
    total = np.zeros((4, 4), complex)
    for value, blade in zip(multivector, BLADES, strict=True):
        product = np.eye(4, dtype=complex)
        for i in blade:
            product = product @ GAMMA[i]
        total += value * product
    return total


def random_lorentz(seed, rapidity=3.0):
    """A boost of at most this rapidity between two rotations [4, 4]."""
    rng = np.random.default_rng(seed)
    turns = []
    for _ in range(2):
        q, r = np.linalg.qr(rng.normal(size=(3, 3)))
        q = q * np.sign(np.diag(r))
        turn = np.eye(4)
        turn[1:, 1:] = q * np.linalg.det(q)
        turns.append(turn)
    boost, eta = np.eye(4), rng.uniform(rapidity / 2, rapidity)
    boost[[0, 0, 3, 3], [0, 3, 0, 3]] = np.cosh(eta), np.sinh(eta), np.sinh(eta), np.cosh(eta)
    return turns[0] @ boost @ turns[1]


@pytest.mark.usefixtures("x64")
def test_geometric_product_is_that_of_diracs_matrices():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 5, 16))
    product = algebra.geometric_product(jnp.asarray(x), jnp.asarray(y))
    for a, b, ab in zip(x, y, product, strict=True):
        np.testing.assert_allclose(_matrix(a) @ _matrix(b), _matrix(np.asarray(ab)), atol=1e-12)
    assert np.count_nonzero(algebra.product_table()) == 256


def test_order_and_signs_are_those_of_lgatr():
    assert list(algebra.BLADES) == BLADES
    eye = jnp.eye(16)
    np.testing.assert_array_equal(
        algebra.inner_product(eye, eye), [1, 1, -1, -1, -1, -1, -1, -1, 1, 1, 1, 1, 1, 1, -1, -1]
    )


@pytest.mark.usefixtures("x64")
def test_products_transform_like_their_factors():
    rng = np.random.default_rng(1)
    x, y = (jnp.asarray(v) for v in rng.normal(size=(2, 5, 16)))
    lorentz = jnp.asarray(random_lorentz(2))
    turn = jax.jit(lambda v: algebra.transform(v, lorentz))
    turned_product = turn(algebra.geometric_product(x, y))
    product_of_turned = algebra.geometric_product(turn(x), turn(y))
    scale = jnp.abs(turned_product).max()
    np.testing.assert_allclose(product_of_turned / scale, turned_product / scale, atol=1e-13)
    inner_of_turned = algebra.inner_product(turn(x), turn(y))
    np.testing.assert_allclose(inner_of_turned, algebra.inner_product(x, y), rtol=1e-9, atol=1e-9)
    vectors = jnp.asarray(rng.normal(size=(5, 4)))
    embedded = algebra.embed_vector(vectors)
    turned_vectors = algebra.extract_vector(turn(embedded))
    np.testing.assert_allclose(turned_vectors, vectors @ lorentz.T, atol=1e-12)
    squares = algebra.inner_product(embedded, embedded)
    np.testing.assert_allclose(squares, vectors**2 @ np.array([1.0, -1, -1, -1]))
    scalars = algebra.embed_scalar(vectors[:, 0])
    np.testing.assert_array_equal(turn(scalars), scalars)


@pytest.mark.usefixtures("x64")
def test_what_the_references_leave_of_the_symmetry():
    """The beam survives boosts and rotations along z, the time direction rotations; neither
    survives a transverse boost.
    """
    beam, time = algebra.symmetry_breaking().astype(jnp.float64)
    boost_z, turn_z, boost_x = np.eye(4), np.eye(4), np.eye(4)
    boost_z[np.ix_([0, 3], [0, 3])] = boost_x[np.ix_([0, 1], [0, 1])] = [
        [np.cosh(1), np.sinh(1)],
        [np.sinh(1), np.cosh(1)],
    ]
    turn_z[np.ix_([1, 2], [1, 2])] = [[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]]
    kept = {
        name: [np.allclose(algebra.transform(r, jnp.asarray(m)), r) for r in (beam, time)]
        for name, m in {"boost z": boost_z, "turn z": turn_z, "boost x": boost_x}.items()
    }
    assert kept == {"boost z": [True, False], "turn z": [True, True], "boost x": [False, False]}
