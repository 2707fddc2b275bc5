"""Strict habits for all tests: shapes checked at run time, no silent rank promotion, warnings are
errors, two CPU devices.
"""

from jaxtyping import install_import_hook

import tests.typechecker  # noqa: F401  the hook looks it up by name

install_import_hook("amplify", "tests.typechecker.check")

import jax  # noqa: E402
import pytest  # noqa: E402

collect_ignore_glob = ["nets/references/*"]  # scripts that need PyTorch

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield
