"""A toy calorimeter with a known distance: showers of many voxels whose likelihood ratio lies in
three latent numbers.

A shower has a response R, a depth a and a width w, Gaussian around their means. Quanta of energy
fall into voxels as a Poisson process: `QUANTA` R of them, along the layers as a gamma density of
shape a, across the rings as exp(-r / w), evenly over the sectors; each carries an exponential
energy. Voxels are thus a noisy function of (R, a, w), many of them empty. A generator that differs
in the mean of one latent number by d of its widths is 2 Phi(d / 2) - 1 away in that number, and not
farther in the voxels (data processing): the distance that efficiencies are quoted against.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

QUANTA = 1500  # in a shower of response one
RESPONSE, DEPTH, WIDTH = 0.10, 0.15, 0.10  # widths of the latent numbers, relative to their means
_SHAPE = 4.0  # mean depth, as the shape of the gamma density
_BLOCK = 1 << 22  # voxels simulated at once


class Detector(NamedTuple):
    """Voxels [layer, ring, sector], flattened in this order."""

    layers: int
    rings: int
    sectors: int

    @property
    def voxels(self) -> int:
        """How many there are."""
        return self.layers * self.rings * self.sectors


SMALL, LARGE = Detector(23, 4, 4), Detector(45, 9, 16)  # 368 and 6480 voxels


class Change(NamedTuple):
    """How a generator is wrong, relative to the mean of each latent number, and whether one voxel,
    that of the most energy, reads a tenth too much.
    """

    response: float = 0.0
    depth: float = 0.0
    width: float = 0.0
    hot: float = 0.0

    @property
    def distance(self) -> float:
        """Of the latent numbers, the largest that voxels can have; of one change only."""
        shifts = self.response / RESPONSE, self.depth / DEPTH, self.width / WIDTH
        return float(2 * ndtr(np.linalg.norm(shifts) / 2) - 1)


def showers(
    rng: np.random.Generator, n: int, detector: Detector, change: Change = Change()
) -> np.ndarray:
    """Voxel energies [n, voxel], float32, in units of the mean energy of a shower."""
    energies = np.empty((n, detector.voxels), np.float32)
    rows = max(_BLOCK // detector.voxels, 1)
    for start in range(0, n, rows):
        block = energies[start : start + rows]
        block[:] = _block(rng, len(block), detector, change)
    return energies


def _block(rng: np.random.Generator, n: int, detector: Detector, change: Change) -> np.ndarray:
    response, depth, width = (
        np.maximum(1 + shift + spread * rng.normal(size=(n, 1)), 0.2)
        for shift, spread in (
            (change.response, RESPONSE),
            (change.depth, DEPTH),
            (change.width, WIDTH),
        )
    )
    layer = (np.arange(detector.layers) + 0.5) * (3 * _SHAPE / detector.layers)
    ring = (np.arange(detector.rings) + 0.5) / detector.rings
    along = np.exp((_SHAPE * depth - 1) * np.log(layer) - layer)
    across = (2 * ring + 0.1) * np.exp(-4 * ring / width)
    along /= along.sum(axis=1, keepdims=True)
    across /= across.sum(axis=1, keepdims=True)
    mean = (QUANTA * response / detector.sectors * along)[:, :, None] * across[:, None, :]
    mean = np.repeat(mean.reshape(n, -1), detector.sectors, axis=1)
    quanta = rng.poisson(mean)
    energy = np.zeros(quanta.shape, np.float32)
    hit = quanta > 0
    energy[hit] = rng.standard_gamma(quanta[hit].astype(np.float32), dtype=np.float32) / QUANTA
    if change.hot:
        brightest = (detector.layers // 4) * detector.rings * detector.sectors
        energy[:, brightest] *= 1 + change.hot
    return energy
