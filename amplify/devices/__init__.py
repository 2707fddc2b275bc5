"""Devices: which there are, how they are shared out, and what fits into them. Without JAX until it
is asked.
"""

from amplify.devices.cores import one_blas_thread, usable_cores, use_all_cores
from amplify.devices.wish import MeshWish, using_mesh, wished_mesh

__all__ = [
    "MeshWish",
    "one_blas_thread",
    "usable_cores",
    "use_all_cores",
    "using_mesh",
    "wished_mesh",
]
