"""Coordinates in which a flow moves particles: a detector's, with the cut on pT built in, and
helicity coordinates of top pairs (docs/top_pairs, Coordinates and flow matching).

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
from jaxtyping import Array, Float
from scipy import special

from amplify.generators.coordinates import Coordinates
from amplify.generators.cut_base import Cuts, cut_base
from amplify.generators.flow_matching import Base, normal_base
from amplify.ttbar import helicity, kinematics

_EDGE = 1e-6  # from the ends of a bounded coordinate, where the normal quantile ends

Points = Float[Array, "n dim"]


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
        base: where the flow starts, given the standardisation on [-pi, pi).
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
        exact = np.asarray(p, np.float64)
        x = kinematics.to_jet_coordinates(exact, cuts.pt_min_gev, massive=massive)
        return x.reshape(len(p), -1)

    def to_momenta(x: Any) -> Any:
        by_particle = x.reshape(x.shape[0], particles, components)
        return kinematics.from_jet_coordinates(by_particle, cuts.pt_min_gev)

    def features(u: Points, x: Points) -> Array:
        by_particle = u.reshape(-1, particles, components)
        return jnp.concatenate([by_particle[..., :1], by_particle[..., 2:]], axis=-1)

    def direction(p: Array) -> tuple[Array, Array]:
        return kinematics.phi(p), kinematics.pseudorapidity(p)

    def velocity(momenta: Array, scalars: Array, vectors: Array | None) -> Points:
        if vectors is not None:
            _, (phi, eta) = jax.jvp(direction, (momenta,), (vectors,))
            p_t = kinematics.pt(momenta)
            scalars = scalars.at[..., 1].add(p_t * phi).at[..., 2].add(p_t * eta)
        return scalars.reshape(-1, dim)

    return Chart(
        particles,
        dim,
        angles=tuple(range(1, dim, components)),
        outputs=components,
        from_momenta=from_momenta,
        to_momenta=to_momenta,
        features=features,
        velocity=velocity,
        base=lambda scaling: cut_base(scaling, particles, components, cuts),
    )


def helicity_chart() -> Chart:
    """Helicity coordinates of six massless partons (helicity.COORDINATES), cosines as
    normal quantiles: flat ones are then what the base is.

    All seventeen are invariant under rotations about the beam, so that all move by scalars: three
    from each particle.
    """
    cosines = slice(helicity.COSINES[0], helicity.COSINES[-1] + 1)
    angles, dim, particles = helicity.AZIMUTHS, len(helicity.COORDINATES), 6

    def from_momenta(p: np.ndarray) -> np.ndarray:
        x = helicity.to_helicity(np.asarray(p, np.float64))
        x[:, cosines] = special.ndtri(np.clip((1 + x[:, cosines]) / 2, _EDGE, 1 - _EDGE))
        return x

    def to_momenta(x: Any) -> Any:
        xp, below = (np, special.ndtr) if isinstance(x, np.ndarray) else (jnp, ndtr)
        before, quantiles, after = x[..., : cosines.start], x[..., cosines], x[..., cosines.stop :]
        # along the axis an azimuth has no derivative
        inside = xp.clip(2 * below(quantiles) - 1, -1 + _EDGE, 1 - _EDGE)
        return helicity.from_helicity(xp.concatenate([before, inside, after], axis=-1))

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
        outputs=3,
        from_momenta=from_momenta,
        to_momenta=to_momenta,
        features=features,
        velocity=velocity,
        base=lambda scaling: normal_base(jnp.asarray(scaling.periodic)),
    )
