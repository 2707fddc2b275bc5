"""Where a flow of particles starts: normal momenta within the cuts that the events passed."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from amplify.generators.coordinates import Coordinates
from amplify.generators.flow_matching import Base
from amplify.ttbar import kinematics

UNIT_GEV = 206.6  # of momenta in the networks and in the base (arXiv:2411.00446)
_TRIES = 16  # for a configuration of the base that passes the cut on Delta R; 4 of 10 fail a try

Points = Float[Array, "n dim"]


class Cuts(NamedTuple):
    """The cuts that the training events passed. GeV."""

    pt_min_gev: float = 22.0
    eta_max: float = 5.0
    delta_r_min: float = 0.5


def cut_base(scaling: Coordinates, particles: int, components: int, cuts: Cuts) -> Base:
    """Momenta, and log m^2, that are normal in units of 206.6 GeV, with the cuts: those on pT and
    eta by truncation, the one on Delta R by rejection.

    A truncated draw is a function of the latents and keeps what Sobol points are good for. pT is
    truncated before eta, which differs from rejecting both by the share of each pT that the cut on
    eta takes: next to nothing at |eta| < 5. For Delta R a configuration that fails is replaced by
    one from latents that are a hash of the first ones, and so a function of them too.

    Args:
        scaling: from jet coordinates to those of the network.
        particles: in an event.
        components: 3 of each particle, or 4 with log m^2.
        cuts: in GeV.
    """
    i, j = np.triu_indices(particles, 1)

    def largest_pz(p_t: Array) -> Array:
        return p_t * np.sinh(cuts.eta_max) / UNIT_GEV

    def jets(latent: Array) -> Array:
        """[n, particle, component] in jet coordinates, before the cut on Delta R."""
        u = latent.reshape(-1, particles, components)
        p_t = jnp.sqrt(cuts.pt_min_gev**2 - 2 * UNIT_GEV**2 * jnp.log(u[..., 0]))
        below = ndtr(-largest_pz(p_t))
        p_z = UNIT_GEV * ndtri(below + u[..., 2] * (1 - 2 * below))
        columns = [
            jnp.log(jnp.maximum(p_t - cuts.pt_min_gev, 1e-3)),
            jnp.pi * (2 * u[..., 1] - 1),
            jnp.arcsinh(p_z / p_t),
        ]
        if components == 4:
            columns.append(2 * np.log(UNIT_GEV) + ndtri(u[..., 3]))
        return jnp.stack(columns, axis=-1)

    def apart(x: Array) -> Array:
        phi, eta = x[..., 1], x[..., 2]
        azimuth = kinematics.wrap(phi[:, i] - phi[:, j])
        return (jnp.hypot(eta[:, i] - eta[:, j], azimuth) > cuts.delta_r_min).all(axis=-1)

    def uniform(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, 2.0**-24, 1 - 2.0**-24)

    def sample(latent: Points) -> Points:
        bits = jax.lax.bitcast_convert_type(latent.astype(jnp.float32), jnp.uint32)
        # a plain sum would meet itself now and then
        odd = np.random.default_rng(0).integers(0, 2**31, bits.shape[1]) * 2 + 1
        hashes = (bits * jnp.asarray(odd, jnp.uint32)[None]).sum(axis=-1, dtype=jnp.uint32)
        keys = jax.vmap(jax.random.key)(hashes)

        def again(k: Array, x: Array) -> Array:
            def draw(key: Array) -> Array:
                return uniform(jax.random.fold_in(key, k), latent.shape[1:], latent.dtype)

            return jnp.where(apart(x)[:, None, None], x, jets(jax.vmap(draw)(keys)))

        x = jax.lax.fori_loop(0, _TRIES, again, jets(latent))
        return scaling.to_network(x.reshape(latent.shape))

    @jax.jit
    def share_apart() -> Array:
        return apart(jets(uniform(jax.random.key(0), (1 << 17, particles * components)))).mean()

    log_accepted = float(np.log(share_apart()))  # to .2 %

    def log_prob(u: Points) -> Float[Array, " n"]:
        x = scaling.to_events(u).reshape(-1, particles, components)
        above, eta = jnp.exp(x[..., 0]), x[..., 2]
        p_t = cuts.pt_min_gev + above
        exponent = (p_t**2 - cuts.pt_min_gev**2) / (2 * UNIT_GEV**2)
        log_pt = jnp.log(p_t / UNIT_GEV**2) - exponent + x[..., 0]
        inside = 1 - 2 * ndtr(-largest_pz(p_t))
        log_slope = jnp.log(p_t * jnp.cosh(eta) / UNIT_GEV / inside)
        log_eta = norm.logpdf(p_t * jnp.sinh(eta) / UNIT_GEV) + log_slope
        density = log_pt + log_eta - np.log(2 * np.pi)
        if components == 4:
            density = density + norm.logpdf(x[..., 3] - 2 * np.log(UNIT_GEV))
        total = density.sum(axis=-1) + jnp.log(scaling.scale).sum() - log_accepted
        passes = apart(x) & (jnp.abs(eta) < cuts.eta_max).all(axis=-1)
        return jnp.where(passes, total, -jnp.inf)

    return Base(sample, log_prob)
