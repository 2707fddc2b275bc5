"""`jit` for tests: what runs once is compiled in half the time without optimisation."""

from functools import partial

import jax

jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
