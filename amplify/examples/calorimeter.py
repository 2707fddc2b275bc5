"""What a calorimeter shower looks like in a few numbers, for files like those of dataset 1 of the
Fast Calorimeter Simulation Challenge, photons (arXiv:2410.21611).

    amplify averaging --members gen_*.hdf5 --holdout test.hdf5 --n-train 100000
        --observables amplify.examples.calorimeter:shower_features --condition incident_energies

`showers` [event, 368] are energies of voxels, layer by layer, in each layer angle by angle from -pi
and there from the inside; `incident_energies` [event, 1] are in the same units. For another
detector copy this file and edit `EDGES` and `ANGLES`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

# edges of radial bins in mm, and the number of bins in angle, by layer
EDGES = {
    0: [0, 5, 10, 30, 50, 100, 200, 400, 600],
    1: [0, 2, 4, 6, 8, 10, 12, 15, 20, 30, 40, 50, 70, 90, 120, 150, 200],
    2: [0, 2, 5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 130, 160, 200, 250, 300, 350, 400],
    3: [0, 50, 100, 200, 400, 600],
    12: [0, 100, 200, 400, 1000, 2000],
}
ANGLES = {0: 1, 1: 10, 2: 10, 3: 1, 12: 1}


def shower_features(events: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Deposited over incident energy, the share of voxels with energy, the share of each layer, and
    in layers with angles the centre and the width of the energy in both directions, in mm.
    """
    showers = events["showers"].astype(np.float64)
    total = showers.sum(axis=1)
    features = {
        "response": total / np.ravel(events["incident_energies"]),
        "occupancy": (showers > 0).mean(axis=1),
    }
    start = 0
    for layer, edges in EDGES.items():
        stop = start + (len(edges) - 1) * ANGLES[layer]
        voxels, start = showers[:, start:stop], stop
        energy = voxels.sum(axis=1)
        features[f"share_{layer}"] = _over(energy, total)
        if ANGLES[layer] > 1:
            for name, place in zip(("eta", "phi"), _places(layer), strict=True):
                centre = _over(voxels @ place, energy)
                square = _over(voxels @ place**2, energy) - centre**2
                features[f"{name}_{layer}"] = centre
                features[f"width_{name}_{layer}"] = np.sqrt(np.maximum(square, 0))
    if start != showers.shape[1]:
        raise ValueError(f"{showers.shape[1]} voxels, the layers here have {start}")
    return features


def _places(layer: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the middle of each voxel is, in both directions."""
    edges, n = np.array(EDGES[layer]), ANGLES[layer]
    radius = np.tile((edges[1:] + edges[:-1]) / 2, n)
    angle = np.repeat((2 * np.arange(n) + 1) * np.pi / n - np.pi, len(edges) - 1)
    return radius * np.cos(angle), radius * np.sin(angle)


def _over(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Zero where nothing was deposited."""
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)
