"""Members train in groups that fit into the memory of an accelerator, found before they run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.generators.fitted_gaussian import fitted_gaussian
from amplify.training import loop, memory
from amplify.training.fit import FitConfig, fit_members
from amplify.truth import ring


class Analysed:
    """What a compiler would say of `size` members that need 10 bytes each, and 5 for all."""

    def __init__(self, size):
        self.temp_size_in_bytes = 5 + 10 * size
        self.output_size_in_bytes = self.alias_size_in_bytes = 1
        self.size = size

    def compile(self):
        return self

    def memory_analysis(self):
        return self


@pytest.mark.parametrize(
    ("free", "at_once"), [(None, 512), (5125, 512), (5124, 256), (1000, 86), (40, 3), (3, 1)]
)
def test_groups_fit_and_are_alike(free, at_once):
    fits = memory.fitting(Analysed, 512, free)
    assert fits.at_once == fits.run.size == at_once
    assert fits.needed == 5 + 10 * at_once


def test_members_in_groups_equal_members_one_by_one(monkeypatch):
    """To rounding: the same minibatches, the same steps. Seven members on one device, three groups
    of at most three.
    """
    x = np.asarray(ring.sample(jax.random.key(0), n=200))
    generator = fitted_gaussian(2)
    keys, rows = jax.random.split(jax.random.key(1), 7), jnp.tile(jnp.arange(200), (7, 1))
    devices, config = (jax.devices()[0],), FitConfig(steps=4, batch=16)
    monkeypatch.setattr(jax, "devices", lambda *_: list(devices))
    alone = fit_members(keys, generator, x, rows, config=config)
    sizes = []

    def grouped(advance_by, mesh):
        def three(size):
            sizes.append(size)
            return advance_by(min(size, 3))

        return memory.in_groups(three, mesh)

    monkeypatch.setattr(loop, "in_groups", grouped)
    monkeypatch.setattr(loop, "is_cpu", lambda mesh: False)
    monkeypatch.setattr(memory, "free_bytes", lambda devices: None)
    monkeypatch.setattr("amplify.training.descent.compiled", loop.compiled.__wrapped__)
    together = fit_members(keys, generator, x, rows, config=config)
    assert sizes == [7]
    np.testing.assert_allclose(together.losses, alone.losses, rtol=1e-4)


@pytest.mark.parametrize("at_once", [None, 2, 3, 7])
def test_arrays_without_numbers_are_mapped_too(at_once):
    """As a bias of L-GATr without scalars, which `jax.lax.map` refuses in groups."""
    weight = jnp.arange(7.0)
    keys = jax.random.split(jax.random.key(0), 7)
    tree = {"bias": jnp.zeros((7, 2, 0)), "weight": weight, "key": keys}

    def function(one):
        assert one["bias"].shape == (2, 0)
        drawn = jax.random.uniform(one["key"])
        return {"sum": one["bias"].sum() + one["weight"], "same": one["bias"], "drawn": drawn}

    found = jax.jit(lambda tree: memory.in_turns(function, tree, at_once))(tree)
    assert found["same"].shape == (7, 2, 0)
    np.testing.assert_array_equal(found["sum"], weight)
    np.testing.assert_array_equal(found["drawn"], jax.vmap(jax.random.uniform)(keys))
