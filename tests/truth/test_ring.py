"""Gaussian ring and shell: density, integrals and sampling against scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import foldnorm, kstest

from amplify.truth import ring


@pytest.mark.parametrize(
    "model",
    [ring.Ring(), ring.Ring(dim=4), ring.Ring(radius=1.0, width=0.8, dim=3), ring.Ring(dim=1)],
)
def test_truth_agrees_with_the_folded_normal(x64, model):
    folded = foldnorm(model.radius / model.width, scale=model.width)
    edges = jnp.array([0.0, 0.5, 3.0, 4.2, 6.0, jnp.inf])
    integrals = ring.shell_integral(model, edges[:-1], edges[1:])
    np.testing.assert_allclose(integrals, np.diff(folded.cdf(edges)), atol=1e-12)
    x = np.asarray(ring.sample(jax.random.key(0), model, n=20_000))
    assert x.shape == (20_000, model.dim)
    radius = np.linalg.norm(x, axis=1)
    assert kstest(radius, folded.cdf).pvalue > 1e-3  # false alarm 1e-3, fixed seed
    mean_direction = (x / radius[:, None]).mean(axis=0)
    assert np.abs(mean_direction).max() < 4.5 / np.sqrt(20_000)


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_density_integrates_to_the_shells(x64, dim):
    """The density along a ray times the area of the sphere is the density of the radius."""
    model = ring.Ring(radius=2.0, width=1.0, dim=dim)
    area = {1: 2.0, 2: 2 * np.pi, 4: 2 * np.pi**2}[dim]

    def radial(r):
        x = jnp.zeros((1, dim)).at[0, 0].set(r)
        return area * r ** (dim - 1) * float(jnp.exp(ring.log_prob(model, x)[0]))

    integral = quad(radial, 0.5, 2.5, epsabs=1e-8)[0]
    expected = ring.shell_integral(model, jnp.array([0.5]), jnp.array([2.5]))[0]
    np.testing.assert_allclose(integral, expected, rtol=1e-7)


def test_shell_edges_are_equiprobable(x64):
    for model in (ring.Ring(), ring.Ring(radius=0.5, width=2.0, dim=4)):
        edges = ring.shell_edges(model, 10)
        integrals = ring.shell_integral(model, edges[:-1], edges[1:])
        np.testing.assert_allclose(integrals, 0.1, atol=1e-12)


def test_the_number_of_events_is_asked_by_name():
    assert ring.sample(jax.random.key(0), n=3).shape == (3, 2)
    with pytest.raises(TypeError):
        ring.sample(jax.random.key(0), ring.Ring(), 3)
