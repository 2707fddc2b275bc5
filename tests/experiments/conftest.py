"""Studies made short compile for longer than they run."""

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def _compiled_quickly():
    """A third less time; tests/test_compiler.py watches what optimisations do to numbers."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
