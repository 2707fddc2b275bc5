"""Gaussian mixture, kernel density and mixture density network: SciPy and scikit-learn as oracles,
densities that integrate to one, samples that follow them.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import gaussian_kde, kstest
from sklearn.mixture import GaussianMixture

from amplify.errors import InputError
from amplify.generators import gaussian_mixture as gm
from amplify.generators import mixture_density as md
from amplify.generators.choices import choose, choose_of_many, more_latents
from amplify.generators.coordinates import coordinates
from amplify.generators.kernel_density import kernel_density
from amplify.latents import sobol_latents, uniform_latents
from tests.compiled import jit

RNG = np.random.default_rng(0)
X2 = np.concatenate([RNG.normal(size=(240, 2)), RNG.normal([4, 1], [0.5, 0.3], (160, 2))])
X2 = X2.astype(np.float32)
X1 = X2[:, :1]


def _network(x, components=3):
    """A mixture density network far from the one before training."""
    generator = md.mixture_density(x, md.MixtureDensityConfig((8,), components))
    leaves, tree = jax.tree.flatten(jit(generator.init)(jax.random.key(1)))
    keys = jax.random.split(jax.random.key(2), len(leaves))
    noise = [0.3 * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)]
    return generator, tree.unflatten([a + b for a, b in zip(leaves, noise, strict=True)])


def _fitted(make, x, weight=None):
    generator = make(x)
    weight = jnp.ones(len(x)) if weight is None else jnp.asarray(weight, jnp.float32)
    return generator, jit(generator.fit)(jax.random.key(3), jnp.asarray(x), weight)


KINDS = {
    "mixture": lambda x: _fitted(lambda x: gm.gaussian_mixture(x, SMALL), x),
    "kernels": lambda x: _fitted(kernel_density, x),
    "network": _network,
}
SMALL = gm.GaussianMixtureConfig(components=3, steps=20)


@pytest.fixture(scope="module", params=KINDS)
def both(request):
    """In one and in two dimensions: generator and params."""
    return [KINDS[request.param](x) for x in (X1, X2)]


def test_densities_integrate_to_one_and_samples_follow_them(both):
    """In one dimension the distribution function by quadrature maps 4096 Sobol points to uniform
    numbers: far closer than independent ones, whose D would be .013.
    """
    generator, params = both[0]
    edge = np.linspace(-8, 12, 4001, dtype=np.float32)
    density = np.exp(np.asarray(jit(generator.log_prob)(params, jnp.asarray(edge[:, None]))))
    below = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(edge))])
    assert below[-1] == pytest.approx(1, abs=2e-3)
    sample = jit(generator.sample)(params, jnp.asarray(sobol_latents(0, 4096, 1)))
    found = kstest(np.interp(np.asarray(sample)[:, 0], edge, below), "uniform").statistic
    assert found < 0.005


def test_two_dimensions_agree_too(both):
    """Fractions in four cells from 2^12 Sobol points against sums of the density over 160^2 cells;
    independent points would have errors of up to .008, and three of them are allowed.
    """
    generator, params = both[1]
    edge = np.linspace(-7, 9, 161, dtype=np.float32)
    middle = (edge[1:] + edge[:-1]) / 2
    grid = np.stack(np.meshgrid(middle, middle, indexing="ij"), -1).reshape(-1, 2)
    density = np.exp(np.asarray(jit(generator.log_prob)(params, jnp.asarray(grid))))
    cell = float(edge[1] - edge[0]) ** 2
    assert density.sum() * cell == pytest.approx(1, abs=0.01)
    sample = np.asarray(jit(generator.sample)(params, jnp.asarray(sobol_latents(1, 4096, 2))))
    for cut in ((3.0, 1.0), (0.0, 0.0), (-1.0, 1.0), (4.2, 0.7)):
        exact = density[(grid < np.asarray(cut)).all(axis=1)].sum() * cell
        assert (sample < cut).all(axis=1).mean() == pytest.approx(exact, abs=0.024)


def test_expectation_maximisation_is_that_of_scikit_learn():
    """Both from the same memberships of events, the same number of steps."""
    u = (X2 - X2.mean(0)) / X2.std(0)
    share = jax.nn.one_hot(np.arange(len(u)) % 3, 3).T
    start = gm.maximisation(jnp.asarray(u), jnp.ones(len(u)), share, 0.1)
    root = np.asarray(start.root, np.float64)
    precision = np.linalg.inv(root @ root.swapaxes(1, 2))
    oracle = GaussianMixture(
        3,
        tol=0,
        max_iter=8,
        reg_covar=0.01,
        weights_init=np.exp(start.log_weight),
        means_init=start.mean,
        precisions_init=precision,
    )
    with pytest.warns(match="converge"):
        oracle.fit(u)
    found = start
    for _ in range(8):
        near = jax.nn.softmax(gm.log_components(found, jnp.asarray(u)), axis=0)
        found = gm.maximisation(jnp.asarray(u), jnp.ones(len(u)), near, 0.1)
    np.testing.assert_allclose(found.mean, oracle.means_, atol=2e-3)
    covariance = np.asarray(found.root @ found.root.swapaxes(1, 2))
    np.testing.assert_allclose(covariance, oracle.covariances_, atol=2e-3)
    np.testing.assert_allclose(np.exp(found.log_weight), oracle.weights_, atol=2e-3)


def test_a_fitted_mixture_finds_clusters_and_its_density_is_scikit_learns():
    generator, params = _fitted(lambda x: gm.gaussian_mixture(x, SMALL._replace(components=2)), X2)
    oracle = GaussianMixture(2, n_init=3, random_state=0, reg_covar=1e-4, tol=1e-6).fit(X2)
    found = np.asarray(jit(generator.log_prob)(params, jnp.asarray(X2[::7])))
    np.testing.assert_allclose(found, oracle.score_samples(X2[::7]), atol=0.05)


def test_kernels_of_scotts_width_are_scipys():
    weight = np.random.default_rng(1).exponential(size=len(X2)).astype(np.float32)
    generator, params = _fitted(lambda x: kernel_density(x, "scott"), X2, weight)
    at = jnp.asarray(X2[:300] + 0.3)  # more than a block
    expected = gaussian_kde(X2.T, weights=weight).logpdf(np.asarray(at).T)
    np.testing.assert_allclose(jit(generator.log_prob)(params, at), expected, atol=2e-4)
    np.testing.assert_allclose(generator.log_prob(params, at[:3]), expected[:3], atol=2e-4)


def test_the_width_of_kernels_does_not_see_copies_of_an_event():
    """A bootstrap repeats events; a width that sees the copies would be the least that is tried."""
    once = _fitted(kernel_density, X2)[1]
    twice = _fitted(kernel_density, np.repeat(X2, 2, axis=0))[1]
    scott = {n: n ** (-1 / 6) for n in (len(X2), 2 * len(X2))}
    widths = [np.asarray(k.root)[0, 0] / np.std(X2[:, 0]) for k in (once, twice)]
    assert widths[0] == pytest.approx(widths[1], rel=0.25)
    assert max(widths) > 0.2 * scott[len(X2)]


@pytest.mark.parametrize("kind", ["mixture", "kernels"])
def test_weights_count_as_repetitions(kind):
    """In what is fitted, and in the loss."""
    kernels = kernel_density(X2, 0.2)
    generator = {"mixture": gm.gaussian_mixture(X2, SMALL), "kernels": kernels}[kind]
    weight = jnp.where(jnp.arange(len(X2)) % 2, 1.0, 0.0)
    fit, key = jit(generator.fit), jax.random.key(0)
    x = jnp.asarray(X2)
    one, other = (fit(key, x.at[::2].set(far), weight) for far in (x[::2], 60.0 + 0 * x[::2]))
    at = jnp.asarray(X2[1:40:2])
    log_prob = jit(generator.log_prob)
    if kind == "kernels":
        np.testing.assert_allclose(log_prob(one, at), log_prob(other, at), atol=1e-3)
    else:  # seeds come out otherwise where events differ
        assert float(jnp.abs(other.mean).max()) < 5
    np.testing.assert_allclose(log_prob(fit(key, x, 7 * weight), at), log_prob(one, at), atol=1e-3)


def test_choices_leave_uniform_numbers_behind():
    """D of 2^14 uniform numbers exceeds .0152 in .1 % of experiments."""
    latent = uniform_latents(jax.random.key(0), 1 << 14, 2)
    weight = np.array([0.1, 0.0, 0.6, 0.3], np.float32)
    index, place = choose(latent[:, 0], jnp.tile(jnp.asarray(weight)[:, None], (1, len(latent))))
    shares = np.bincount(np.asarray(index), minlength=4) / len(latent)
    np.testing.assert_allclose(shares, weight, atol=0.015)
    assert kstest(np.asarray(place), "uniform").statistic < 0.0152
    many = jnp.asarray(np.random.default_rng(2).exponential(size=20_000), jnp.float32)
    index, place = choose_of_many(latent[:, 0], many)
    assert kstest(np.asarray(place), "uniform").statistic < 0.0152
    ends = np.cumsum(np.asarray(many, np.float64))
    expected = np.searchsorted(ends, np.asarray(latent[:, 0], np.float64) * ends[-1])
    assert np.abs(np.asarray(index) - expected).max() <= 1  # rounding of the sums
    more = np.asarray(more_latents(latent, 2))
    assert max(kstest(column, "uniform").statistic for column in more.T) < 0.0152
    together = np.corrcoef(np.concatenate([np.asarray(latent), more], axis=1).T)
    assert np.abs(together - np.eye(4)).max() < 0.04  # five errors of 2^-7
    np.testing.assert_array_equal(more, more_latents(latent, 2))


@pytest.mark.parametrize(
    "make",
    [
        lambda x: kernel_density(x, 0.0),
        lambda x: kernel_density(coordinates(x, periodic={0: (-9, 9)})),
        lambda x: gm.gaussian_mixture(x, gm.GaussianMixtureConfig(0)),
        lambda x: gm.gaussian_mixture(coordinates(x, bounded={0: (-9, 9)})),
        lambda x: md.mixture_density(x, md.MixtureDensityConfig(components=1)),
        lambda x: kernel_density(x).init(jax.random.key(0)),
    ],
)
def test_what_makes_no_sense_is_refused(make):
    with pytest.raises(InputError):
        make(X2)
