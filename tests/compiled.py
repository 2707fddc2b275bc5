"""Programs that tests run once, compiled in half the time: without optimisation, and by the older
emitters of XLA. tests/test_compiler.py watches what optimisations do to numbers. Not for what runs
longer than it compiles.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import jax
import pytest
from jax._src import compiler

_OLDER = {"xla_cpu_use_fusion_emitters": False}


@cache
def _older() -> dict[str, Any]:
    """Options that choose the older emitters; none where XLA has only the newer ones."""
    try:
        jax.jit(lambda x: x, compiler_options=_OLDER).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return _OLDER


def jit(function=None, **settings):
    """`jax.jit` of a function that is compiled quickly."""
    if function is None:
        return partial(jit, **settings)
    options = {"xla_backend_optimization_level": 0, **_older()}
    return jax.jit(function, compiler_options=options, **settings)


@contextmanager
def quickly() -> Iterator[None]:
    """What is compiled meanwhile is compiled quickly, calls that are not jitted too."""
    options_of = getattr(compiler, "get_compile_options", None)  # JAX has no public way

    def older(*args, **settings):
        options = options_of(*args, **settings)
        options.env_option_overrides = [*options.env_option_overrides, *_older().items()]
        return options

    with pytest.MonkeyPatch.context() as patch:
        if options_of is not None and _older():
            patch.setattr(compiler, "get_compile_options", older)
        jax.config.update("jax_disable_most_optimizations", True)
        yield
    jax.config.update("jax_disable_most_optimizations", False)
