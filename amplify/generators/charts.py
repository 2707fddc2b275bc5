"""Coordinates in which a flow moves particles: a detector's, with the cut on pT built in, and
helicity coordinates of top pairs (ttbar.md sections 2, 5).

A chart says how events become coordinates and momenta again, which coordinates are angles, where
the flow starts, and how a velocity is read off a network that returns scalars and a four-vector for
each particle.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jax.scipy.stats import norm
from jaxtyping import Array, Float
from scipy import special

from amplify.generators.flow_matching import Base, Coordinates, normal_base
from amplify.ttbar import kinematics

UNIT_GEV = 206.6  # of momenta in the networks and in the base (arXiv:2411.00446)
_TRIES = 16  # for a configuration of the base that passes the cut on Delta R; 4 of 10 fail a try
_EDGE = 1e-6  # from the ends of a bounded coordinate, where the normal quantile ends

Points = Float[Array, "n dim"]


class Cuts(NamedTuple):
    """The cuts that the training events passed. GeV."""

    pt_min_gev: float = 22.0
    eta_max: float = 5.0
    delta_r_min: float = 0.5


class Chart(NamedTuple):
    """Coordinates x [n, dim] of events of `particles` particles.

    Attributes:
        particles: in an event.
        dim: coordinates of an event.
        angles: columns that are azimuths in [-pi, pi).
        outputs: scalars per particle that `velocity` needs.
        from_momenta: momenta [n, particle, 4] in GeV -> x, in NumPy and float64.
        to_momenta: x -> momenta in GeV; NumPy or JAX.
        features: (u, x) -> [n, particle, feature], what a network may know beside the momenta:
            invariant under rotations about the beam.
        velocity: (momenta, scalars [n, particle, outputs], vectors [n, particle, 4] or None) ->
            du/dt.
        base: where the flow starts, given the standardisation.
    """

    particles: int
    dim: int
    angles: tuple[int, ...]
    outputs: int
    from_momenta: Callable[[np.ndarray], np.ndarray]
    to_momenta: Callable[[Any], Any]
    features: Callable[[Points, Points], Float[Array, "n particle feature"]]
    velocity: Callable[[Array, Array, Array | None], Points]
    base: Callable[[Coordinates], Base]


def jet_chart(particles: int = 6, *, massive: bool = False, cuts: Cuts = Cuts()) -> Chart:
    """(log(pT - pT_min), phi, eta) of each particle, and log m^2 where massive: no event falls
    below the cut on pT.

    Phi and eta move as the network's four-vector says, pulled back through their Jacobian and
    multiplied by pT, so that it is of order one; log pT and log m^2 move by scalars. Without
    four-vectors all move by scalars. Events are standardised per particle and component.
    """
    components = 4 if massive else 3
    dim = particles * components

    def from_momenta(p: np.ndarray) -> np.ndarray:
        return kinematics.to_jet_coordinates(
            np.asarray(p, np.float64), cuts.pt_min_gev, massive=massive
        ).reshape(len(p), -1)

    def to_momenta(x: Any) -> Any:
        return kinematics.from_jet_coordinates(
            x.reshape(x.shape[0], particles, components), cuts.pt_min_gev
        )

    def features(u: Points, x: Points) -> Array:
        parts = u.reshape(-1, particles, components)
        return jnp.concatenate([parts[..., :1], parts[..., 2:]], axis=-1)

    def velocity(momenta: Array, scalars: Array, vectors: Array | None) -> Points:
        if vectors is not None:
            _, (phi, eta) = jax.jvp(
                lambda p: (kinematics.phi(p), kinematics.pseudorapidity(p)), (momenta,), (vectors,)
            )
            p_t = kinematics.pt(momenta)
            scalars = scalars.at[..., 1].add(p_t * phi).at[..., 2].add(p_t * eta)
        return scalars.reshape(-1, dim)

    angles = tuple(range(1, dim, components))
    return Chart(
        particles,
        dim,
        angles,
        components,
        from_momenta,
        to_momenta,
        features,
        velocity,
        lambda own: cut_base(own, particles, components, cuts),
    )


def helicity_chart() -> Chart:
    """Helicity coordinates of six massless partons (kinematics.HELICITY_COORDINATES), cosines as
    normal quantiles: flat ones are then what the base is.

    All seventeen are invariant under rotations about the beam, so that all move by scalars: three
    from each particle.
    """
    cosines = slice(kinematics.COSINES[0], kinematics.COSINES[-1] + 1)
    angles, dim, particles = kinematics.AZIMUTHS, len(kinematics.HELICITY_COORDINATES), 6

    def from_momenta(p: np.ndarray) -> np.ndarray:
        x = kinematics.to_helicity(np.asarray(p, np.float64))
        x[:, cosines] = special.ndtri(np.clip((1 + x[:, cosines]) / 2, _EDGE, 1 - _EDGE))
        return x

    def to_momenta(x: Any) -> Any:
        xp, below = (np, special.ndtr) if isinstance(x, np.ndarray) else (jnp, ndtr)
        cosine = 2 * below(x[..., cosines]) - 1
        inside = xp.clip(
            cosine, -1 + _EDGE, 1 - _EDGE
        )  # along the axis an azimuth has no derivative
        return kinematics.from_helicity(
            xp.concatenate([x[..., : cosines.start], inside, x[..., cosines.stop :]], axis=-1)
        )

    def features(u: Points, x: Points) -> Array:
        circle = u[:, angles[0] :]
        event = jnp.concatenate([u[:, : angles[0]], jnp.cos(circle), jnp.sin(circle)], axis=-1)
        return jnp.broadcast_to(event[:, None], (len(u), particles, event.shape[1]))

    def velocity(momenta: Array, scalars: Array, vectors: Array | None) -> Points:
        return scalars.reshape(len(scalars), -1)[:, :dim]

    return Chart(
        particles,
        dim,
        angles,
        3,
        from_momenta,
        to_momenta,
        features,
        velocity,
        lambda own: normal_base(own.angle),
    )


def cut_base(own: Coordinates, particles: int, components: int, cuts: Cuts) -> Base:
    """Momenta, and log m^2, that are normal in units of 206.6 GeV, with the cuts: those on pT and
    eta by truncation, the one on Delta R by rejection.

    A truncated draw is a function of the latents and keeps what Sobol points are good for. pT is
    truncated before eta, which differs from rejecting both by the share of each pT that the cut on
    eta takes: next to nothing at |eta| < 5. For Delta R a configuration that fails is replaced by
    one from latents that are a hash of the first ones, and so a function of them too.
    """

    def raw(latent: Array) -> Array:
        """[n, particle, component] in jet coordinates, before the cut on Delta R."""
        u = latent.reshape(-1, particles, components)
        p_t = jnp.sqrt(cuts.pt_min_gev**2 - 2 * UNIT_GEV**2 * jnp.log(u[..., 0]))
        low = ndtr(-p_t * np.sinh(cuts.eta_max) / UNIT_GEV)  # |pz| below that at the largest |eta|
        p_z = UNIT_GEV * jax.scipy.special.ndtri(low + u[..., 2] * (1 - 2 * low))
        columns = [
            jnp.log(jnp.maximum(p_t - cuts.pt_min_gev, 1e-3)),
            jnp.pi * (2 * u[..., 1] - 1),
            jnp.arcsinh(p_z / p_t),
        ]
        if components == 4:
            columns.append(2 * np.log(UNIT_GEV) + jax.scipy.special.ndtri(u[..., 3]))
        return jnp.stack(columns, axis=-1)

    i, j = np.triu_indices(particles, 1)

    def apart(x: Array) -> Array:
        eta, phi = x[..., 2], x[..., 1]
        return (
            jnp.hypot(eta[:, i] - eta[:, j], kinematics.wrap(phi[:, i] - phi[:, j]))
            > cuts.delta_r_min
        ).all(axis=-1)

    def uniform(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, 2.0**-24, 1 - 2.0**-24)

    def sample(latent: Points) -> Points:
        x = raw(latent)
        bits = jax.lax.bitcast_convert_type(latent.astype(jnp.float32), jnp.uint32)
        odd = jnp.asarray(
            np.random.default_rng(0).integers(0, 2**31, bits.shape[1]) * 2 + 1, jnp.uint32
        )  # a plain sum would meet itself now and then
        keys = jax.vmap(jax.random.key)((bits * odd[None]).sum(axis=-1, dtype=jnp.uint32))

        def again(k: Array, x: Array) -> Array:
            fresh = jax.vmap(
                lambda key: uniform(jax.random.fold_in(key, k), latent.shape[1:], latent.dtype)
            )(keys)
            return jnp.where(apart(x)[:, None, None], x, raw(fresh))

        x = jax.lax.fori_loop(0, _TRIES, again, x).reshape(latent.shape)
        return (x - own.shift[None]) / own.scale[None]

    @jax.jit
    def share_apart() -> Array:
        return apart(raw(uniform(jax.random.key(0), (1 << 17, particles * components)))).mean()

    log_accepted = float(np.log(share_apart()))  # to .2 %

    def log_prob(u: Points) -> Float[Array, " n"]:
        x = (u * own.scale[None] + own.shift[None]).reshape(-1, particles, components)
        above, eta = jnp.exp(x[..., 0]), x[..., 2]
        p_t = cuts.pt_min_gev + above
        log_pt = (
            jnp.log(p_t / UNIT_GEV**2)
            - (p_t**2 - cuts.pt_min_gev**2) / (2 * UNIT_GEV**2)
            + x[..., 0]
        )
        inside = 1 - 2 * ndtr(-p_t * np.sinh(cuts.eta_max) / UNIT_GEV)
        log_eta = norm.logpdf(p_t * jnp.sinh(eta) / UNIT_GEV) + jnp.log(
            p_t * jnp.cosh(eta) / UNIT_GEV / inside
        )
        density = log_pt + log_eta - np.log(2 * np.pi)
        if components == 4:
            density = density + norm.logpdf(x[..., 3] - 2 * np.log(UNIT_GEV))
        total = density.sum(axis=-1) + jnp.log(own.scale).sum() - log_accepted
        return jnp.where(apart(x) & (jnp.abs(eta) < cuts.eta_max).all(axis=-1), total, -jnp.inf)

    return Base(sample, log_prob)
