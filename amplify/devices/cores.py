"""One device per CPU core, so that members train side by side on a laptop with the code that uses
several GPUs. Threads of BLAS: one, where matrices are small.
"""

import os
import sys


def usable_cores() -> int:
    """CPU cores that this process may run on: fewer than the machine's where a batch system gave it
    a part.
    """
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_all_cores() -> None:
    """Makes JAX show every CPU core as a device; call it before JAX computes anything. Harmless
    where GPUs or TPUs are found, and where XLA_FLAGS say how many devices there are.
    """
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    import jax

    try:
        jax.config.update("jax_num_cpu_devices", usable_cores())
    except RuntimeError:
        return  # the devices exist already: then they stay as they are


def one_blas_thread() -> None:
    """Lets NumPy's OpenBLAS compute in one thread; call it before NumPy is imported.

    Its threads wait for each other by spinning: on a busy machine the small matrices of a learned
    ratio then cost four times the processor time. The environment stays as it was, for the
    processes that are started from here.
    """
    name = "OPENBLAS_NUM_THREADS"
    if name in os.environ or "numpy" in sys.modules:
        return
    os.environ[name] = "1"
    import numpy  # noqa: F401  which reads it, once

    del os.environ[name]
