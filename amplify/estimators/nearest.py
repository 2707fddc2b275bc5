"""Nearest events, exactly: trees for few columns, matrix products for many."""

import numpy as np
from jaxtyping import Float, Int

TREE = 6  # columns up to which trees find neighbours faster than products do
_NUMBERS = 20_000_000  # distances in memory


def neighbours(
    x: Float[np.ndarray, "n dim"], among: Float[np.ndarray, "m dim"], k: int
) -> tuple[Float[np.ndarray, "n k"], Int[np.ndarray, "n k"]]:
    """Distances of the k nearest events `among` others, the nearest first, and their places."""
    k = min(k, len(among))
    if x.shape[1] > TREE:
        return _by_products(x, among, k)
    from scipy.spatial import KDTree

    distance, place = KDTree(among).query(x, k)
    return distance.reshape(len(x), k), place.reshape(len(x), k)


def _by_products(x: np.ndarray, among: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Single precision finds a few more than are asked for, double precision sorts these."""
    centre = among.mean(axis=0)
    short, others = (np.asarray(a - centre, np.float32) for a in (x, among))
    square = (others**2).sum(axis=1)
    candidates = min(k + 4, len(among))
    block = max(_NUMBERS // len(among), 1)
    distances, places = [], []
    for start in range(0, len(x), block):
        rows = slice(start, start + block)
        found = (-2 * short[rows]) @ others.T
        found += square
        some = np.argpartition(found, candidates - 1, axis=1)[:, :candidates]
        # one event at a time: its candidates in all columns
        exact = np.stack(
            [((among[p] - event) ** 2).sum(axis=1) for p, event in zip(some, x[rows], strict=True)]
        )
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        distances.append(np.sqrt(np.take_along_axis(exact, order, axis=1)))
        places.append(np.take_along_axis(some, order, axis=1))
    return np.concatenate(distances), np.concatenate(places)
