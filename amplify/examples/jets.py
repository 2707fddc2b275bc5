"""The inside of a jet in a few numbers, for files like those of JetNet (arXiv:2106.11535).

    amplify averaging --members gen_*.hdf5 --holdout test.hdf5 --n-train 100000
        --observables amplify.examples.jets:substructure

`particle_features` [jet, particle, 3 or more] are eta and phi relative to the jet and pT over that
of the jet, which is 0 where there is no particle. For other names or orders copy this file and edit
the first line of the function.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np


def substructure(jets: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Mass over the pT of the jet, of massless particles; how many particles; the width, which is
    their mean distance from the axis by pT; and D2 = e3 / e2^3 of energy correlators with angular
    exponent 1 (arXiv:1409.6298), 0 of a jet that is one particle.
    """
    eta, phi, pt = np.moveaxis(jets["particle_features"][:, :, :3].astype(np.float64), -1, 0)
    momenta = pt * np.stack([np.cosh(eta), np.cos(phi), np.sin(phi), np.sinh(eta)])
    energy, px, py, pz = momenta.sum(axis=-1)
    share = (pt / np.maximum(pt.sum(axis=1, keepdims=True), 1e-300)).astype(np.float32)
    across, around = (angle[:, :, None] - angle[:, None, :] for angle in (eta, phi))
    distance = np.hypot(across, around).astype(np.float32)  # half the time of doubles
    pairs = share[:, :, None] * share[:, None, :] * distance
    e2 = pairs.sum(axis=(1, 2)) / 2
    e3 = (pairs * ((distance * share[:, None, :]) @ distance)).sum(axis=(1, 2)) / 6
    return {
        "mass": np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0)),
        "multiplicity": (pt > 0).sum(axis=1),
        "width": (share * np.hypot(eta, phi)).sum(axis=1),
        "d2": np.divide(e3, e2**3, out=np.zeros_like(e2), where=e2 > 0),
    }
