"""Truth that is known in closed form: densities to sample from, and the integrals and distances
that estimates must find.
"""

from amplify.truth import gaussian, ring

__all__ = ["gaussian", "ring"]
