"""Everything that runs on a mesh, on every mesh of eight devices against one of one: run by
test_mesh.py in a process that has eight.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.devices import using_mesh
from amplify.generators.fitted_gaussian import fitted_gaussian
from amplify.integrals import member_integrals
from amplify.regions import column, tail
from amplify.sampling import sample_members
from amplify.training.densities import log_prob_of_members
from amplify.training.ensemble import fit_ensemble
from amplify.training.fit import FitConfig
from amplify.training.sgmcmc import SGMCMCConfig, fit_sgmcmc
from amplify.training.variational import VariationalConfig, fit_variational
from tests import compiled

KEY = jax.random.key(0)
CONFIG = FitConfig(steps=4, batch=16)


def noisy_gaussian():
    """Its loss has random numbers of every event, as that of flow matching."""
    plain = fitted_gaussian(2)

    def loss(params, key, x, weight):
        return plain.loss(params, key, x + jax.random.uniform(key, x.shape), weight)

    return plain._replace(loss=loss)


GENERATOR = noisy_gaussian()
X = np.asarray(1 + 2 * jax.random.normal(KEY, (300, 2)))
WEIGHT = np.linspace(0.5, 1.5, 300)


SETTINGS = {"members": 8, "weight": WEIGHT}
CHAINS = SGMCMCConfig(chains=8, start=CONFIG, between=4, batch=16)
POSTERIORS = VariationalConfig(chains=8, fit=CONFIG)
TRAININGS = {
    "ensemble": partial(fit_ensemble, config=CONFIG, **SETTINGS),
    "variational": partial(fit_variational, config=POSTERIORS, **SETTINGS),
    "sgmcmc": partial(fit_sgmcmc, config=CHAINS, **SETTINGS),
}
# a training of posteriors is one of an ensemble, with other params: compiling takes seconds
MESHES = {
    (8, 1): ["ensemble"],
    (4, 2): ["sgmcmc"],
    (2, 4): ["variational"],
    (1, 8): ["ensemble"],
}


def trained(name):
    """Losses and params of eight members, each from a training or chain of its own."""
    ensemble = TRAININGS[name](KEY, GENERATOR, X)
    return [np.asarray(leaf) for leaf in (ensemble.losses, *jax.tree.leaves(ensemble.params))]


def generated(params):
    """What is generated and counted, and the densities of events."""
    samples = sample_members(KEY, GENERATOR, params, 40_000)
    above = tail(column(0), 1.0, "x")
    integrals = member_integrals(KEY, GENERATOR, params, above, 40_000)
    return np.asarray(samples.x), integrals.integral


def main():
    """Raises where two meshes differ."""
    assert len(jax.devices()) == 8
    with using_mesh(members=1, batch=1):
        expected = {name: trained(name) for name in TRAININGS}
    params = jax.vmap(GENERATOR.init)(jax.random.split(KEY, 8))
    x = jnp.asarray(X)
    alone = jax.vmap(GENERATOR.log_prob, (0, None))(params, x)
    for (members, batch), names in MESHES.items():
        with using_mesh(members=members, batch=batch):
            density = log_prob_of_members(GENERATOR.log_prob, params, x)
            np.testing.assert_allclose(density, alone, rtol=1e-5)
            found = [leaf for name in names for leaf in trained(name)]
        alike = [leaf for name in names for leaf in expected[name]]
        for a, b in zip(found, alike, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    three = jax.tree.map(lambda leaf: leaf[:3], params)
    with pytest.MonkeyPatch.context() as patch:
        first = jax.local_devices()[:1]
        patch.setattr(jax, "local_devices", lambda: first)
        expected = generated(three)
    for a, b in zip(generated(three), expected, strict=True):
        np.testing.assert_array_equal(a, b)


if __name__ == "__main__":
    with compiled.quickly():
        main()
