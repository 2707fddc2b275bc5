"""Charts, their bases, and flows of particles: round trips, SciPy's distributions, and what a
rotation about the beam leaves alone.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest

from amplify.errors import InputError
from amplify.generators.charts import helicity_chart, jet_chart
from amplify.generators.coordinates import Coordinates
from amplify.generators.cut_base import UNIT_GEV, Cuts, cut_base
from amplify.generators.flow_matching import Solver
from amplify.generators.particles import particle_flow
from amplify.nets.lloca import LLoCaConfig
from amplify.nets.particles import ParticleLGATr, ParticleLLoCa, ParticleTransformer
from amplify.nets.transformer import TransformerConfig
from amplify.sampling import uniform_latents
from amplify.ttbar import kinematics
from tests.compiled import jit

CUTS = Cuts()


def _events(n, particles=6, massive=False, seed=0):
    """Momenta that pass the cut on pT, spread over all azimuths."""
    rng = np.random.default_rng(seed)
    shape = (n, particles)
    p_t, eta = CUTS.pt_min_gev + rng.exponential(60, shape), rng.normal(0, 1.3, shape)
    p = kinematics.massless(p_t, eta, rng.uniform(-np.pi, np.pi, shape))
    if massive:
        p[..., 0] = np.hypot(p[..., 0], rng.uniform(1, 20, (n, particles)))
    return p


def _identity(dim, angles=()):
    """Jet coordinates as they are."""
    angle = np.isin(np.arange(dim), angles)
    return Coordinates(np.zeros(dim), np.ones(dim), angle, angle, np.pi).on(np.pi)


@pytest.mark.parametrize("massive", [False, True])
def test_jet_chart_and_back(massive):
    chart, p = jet_chart(massive=massive), _events(200, massive=massive)
    x = chart.from_momenta(p)
    assert x.shape == (200, chart.dim) == (200, 24 if massive else 18)
    np.testing.assert_allclose(chart.to_momenta(x), p, rtol=1e-8)
    single = jit(chart.to_momenta)(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(single, p, rtol=2e-4, atol=1e-3)
    assert len(chart.angles) == 6 and np.abs(x[:, chart.angles]).max() <= np.pi
    far = chart.to_momenta(np.full((1, chart.dim), 300.0))
    assert np.isfinite(far).all()  # exponents are clamped


def test_helicity_chart_and_back():
    chart, p = helicity_chart(), _events(300)
    x = chart.from_momenta(p)
    again = chart.to_momenta(x)
    np.testing.assert_allclose(kinematics.observables(again), kinematics.observables(p), rtol=1e-5)
    np.testing.assert_allclose(chart.from_momenta(again), x, atol=1e-5)
    np.testing.assert_allclose(kinematics.phi(kinematics.resonances(again)[0]), 0, atol=1e-9)


def test_wild_points_of_the_base_are_finite_momenta():
    """Single precision lost the mass of a top with an energy of a hundred of TeV, and with it a
    training in a thousand.
    """
    chart, x = helicity_chart(), helicity_chart().from_momenta(_events(300))
    width = x.std(axis=0)
    wild = x.mean(axis=0) + 6 * width * np.random.default_rng(1).uniform(-1, 1, (20_000, chart.dim))
    wild[:, chart.angles] = kinematics.wrap(wild[:, chart.angles])
    p = jit(chart.to_momenta)(jnp.asarray(wild, jnp.float32))
    assert np.isfinite(p).all() and float(p[..., 0].max()) > 1e5


def test_base_obeys_the_cuts_and_has_the_marginals_of_rejected_normal_momenta():
    """KS tests at a false-alarm rate of 1e-4 each against momenta that are drawn and rejected, an
    independent way to the same density.
    """
    base = cut_base(_identity(24, range(1, 24, 4)), 6, 4, CUTS)
    latent = uniform_latents(jax.random.key(0), 4000, 24)
    sample = jit(base.sample)
    x = np.asarray(sample(latent)).reshape(-1, 6, 4)
    p = kinematics.from_jet_coordinates(x.astype(float), CUTS.pt_min_gev)
    assert kinematics.passes(p, **CUTS._asdict()).all()
    rng = np.random.default_rng(2)
    drawn = UNIT_GEV * rng.normal(size=(40_000, 6, 3))
    q = np.concatenate([np.linalg.norm(drawn, axis=-1, keepdims=True), drawn], axis=-1)
    q = q[kinematics.passes(q, **CUTS._asdict())]
    assert len(q) > 4000
    for value in (kinematics.pt, kinematics.pseudorapidity, kinematics.phi):
        assert ks_2samp(value(p[:, 0]), value(q[:, 0])).pvalue > 1e-4
    closest = (kinematics.delta_r(events).min(axis=1) for events in (p, q))
    assert ks_2samp(*closest).pvalue > 1e-4
    assert kstest(x[:, 2, 3] - 2 * np.log(UNIT_GEV), "norm").pvalue > 1e-4
    # a function of the latents, the rejected ones too: alone or among others
    np.testing.assert_array_equal(sample(latent[:64]), x[:64].reshape(-1, 24))


@pytest.mark.slow
def test_density_of_the_base_is_normalised():
    """One particle by a grid; two, whose cut on Delta R takes a share away, by the share that
    passes in a plain simulation.
    """
    one, two = cut_base(_identity(3, (1,)), 1, 3, CUTS), cut_base(_identity(6, (1, 4)), 2, 3, CUTS)
    narrow = cut_base(_identity(3, (1,)), 1, 3, Cuts(eta_max=1.5))
    log_pt, eta = np.linspace(-8, 7.5, 500), np.linspace(-4.999, 4.999, 301)
    grid = np.stack(np.meshgrid(log_pt, [0.3], eta, indexing="ij"), -1).reshape(-1, 3)
    cell = (log_pt[1] - log_pt[0]) * (eta[1] - eta[0]) * 2 * np.pi

    def total(base):
        return np.exp(np.asarray(jit(base.log_prob)(jnp.asarray(grid, jnp.float32)))).sum() * cell

    assert total(one) == pytest.approx(1, abs=2e-3)
    # the edges of the cut fall between points of the grid
    assert total(narrow) == pytest.approx(1, abs=0.02)
    latent = uniform_latents(jax.random.key(1), 200_000, 3)
    pairs = np.asarray(jit(one.sample)(latent), float).reshape(-1, 2, 3)
    distance = kinematics.delta_r(kinematics.from_jet_coordinates(pairs, CUTS.pt_min_gev))[:, 0]
    share = (distance > CUTS.delta_r_min).mean()
    x = jnp.asarray([[3.0, 0.1, 0.5, 4.0, 2.0, -1.0]])
    excess = two.log_prob(x) - one.log_prob(x[:, :3]) - one.log_prob(x[:, 3:])
    # both shares are simulated, to .0005 each
    assert float(excess[0]) == pytest.approx(-np.log(share), abs=3e-3)
    assert np.isneginf(two.log_prob(x.at[0, 3:].set(x[0, :3] + 0.1))[0])


NETWORKS = {
    "transformer": lambda out: ParticleTransformer(out, TransformerConfig(16, 1, 2)),
    "lgatr": lambda out: ParticleLGATr(out, 2, 4, 1, 1),
    "lloca": lambda out: ParticleLLoCa(out, LLoCaConfig(TransformerConfig(32, 1, 2, vectors=2))),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("transformer", marks=pytest.mark.slow),
        pytest.param("lgatr", marks=pytest.mark.slow),
        "lloca",
    ],
)
def test_flow_of_jets_and_what_a_rotation_about_the_beam_leaves_alone(name):
    """Networks that know four-vectors give turned events the same velocity; the transformer, which
    is told azimuths, does not. Sampling obeys the cut.
    """
    chart, p = jet_chart(), _events(400)
    x = jnp.asarray(chart.from_momenta(p), jnp.float32)
    net = NETWORKS[name](chart.outputs)
    features = chart.features(x[:20], x[:20])
    turned_x = x[:20].at[:, np.array(chart.angles)].add(1.1)
    # an azimuth among the features would break the symmetry unseen
    np.testing.assert_array_equal(chart.features(turned_x, turned_x), features)
    momenta, t = jnp.asarray(p[:20] / UNIT_GEV, jnp.float32), jnp.linspace(0.0, 1.0, 20)
    params = jit(net.init)(jax.random.key(1), features, momenta, t)
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)  # away from a last layer of zeros
    c, s = np.cos(1.1), np.sin(1.1)
    turn = jnp.asarray([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]], jnp.float32)

    @jit
    def velocity(momenta):
        return chart.velocity(momenta, *net.apply(params, features, momenta, t))

    first, turned = velocity(momenta), velocity(momenta @ turn.T)
    size = float(jnp.abs(first).max())
    assert first.shape == (20, 18) and np.isfinite(first).all() and size > 1e-3
    equivariant = float(jnp.abs(first - turned).max()) < 1e-3 * size
    assert equivariant == (name != "transformer")
    if name != "transformer":
        return  # the rest is the same for all, and compiles for long
    flow = particle_flow(x, chart, net, Solver(2))
    params, latent = flow.init(jax.random.key(2)), uniform_latents(jax.random.key(3), 50, 18)
    y = np.asarray(jit(flow.sample)(params, latent), float)
    assert kinematics.pt(chart.to_momenta(y)).min() >= CUTS.pt_min_gev
    assert np.isfinite(jit(flow.loss)(params, jax.random.key(4), x, jnp.ones(len(x))))


def test_velocity_of_angles_follows_the_four_vector():
    """A four-vector along the derivative by an angle moves that angle alone, by its length over
    pT.
    """
    chart, p = jet_chart(1), _events(5, 1) / UNIT_GEV
    p_t, zero, none = kinematics.pt(p), 0 * p[..., 0], jnp.zeros((5, 1, 3))
    around = np.stack([zero, -p[..., 2], p[..., 1], zero], axis=-1) / p_t[..., None]
    moved = chart.velocity(jnp.asarray(p), none, jnp.asarray(around))
    np.testing.assert_allclose(moved, np.tile([0.0, 1, 0], (5, 1)), atol=1e-5)
    by_eta = np.cosh(kinematics.pseudorapidity(p))  # of pz at this pT, over pT
    along = np.stack([zero, zero, zero, by_eta], axis=-1)
    moved = chart.velocity(jnp.asarray(p), none, jnp.asarray(along))
    np.testing.assert_allclose(moved, np.tile([0.0, 0, 1], (5, 1)), atol=1e-5)


def test_events_of_another_chart_are_refused():
    with pytest.raises(InputError, match=r"chart\.from_momenta"):
        particle_flow(jnp.zeros((10, 17)), jet_chart(), NETWORKS["transformer"](3))
