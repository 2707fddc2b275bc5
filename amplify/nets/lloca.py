"""LLoCa: a transformer made Lorentz-equivariant by local frames (arXiv:2505.20280,
arXiv:2508.14898).

Each particle has a frame of its own, predicted equivariantly (frames.py). It sees itself there, and
what the others send it, transported from their frames to its own: everything between input and
output is invariant, and any network may work on it. Symmetry is broken only by the reference
vectors given.
"""

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from amplify.nets.frames import (
    FramesConfig,
    LocalFrames,
    einsum,
    four_velocity,
    inner_products,
    inverse,
    to_rest,
)
from amplify.nets.precision import in_full_precision
from amplify.nets.transformer import Transformer, TransformerConfig, Transport


def compressed(momenta: Float[Array, "*batch 4"]) -> Float[Array, "*batch 4"]:
    """(log E, p / E): numbers of order one for particles of any energy."""
    energy = momenta[..., :1]
    there = energy > 0
    safe = jnp.where(there, energy, 1.0)
    return jnp.concatenate([jnp.log(safe), jnp.where(there, momenta[..., 1:] / safe, 0.0)], -1)


class LLoCaConfig(NamedTuple):
    """Sizes of both networks and what they see.

    Attributes:
        transformer: of the backbone; `vectors` per head travel between the frames.
        frames: of the network that predicts the frames.
        out_scalars: invariants that come out per particle.
        out_vectors: four-vectors that come out per particle.
        local_features: what the backbone sees of a particle's momentum in its own frame.
        see_references: whether it also sees the reference vectors there.
        preserve_variance: divide transported vectors by the Lorentz factor between the particle's
            frame and the event's rest frame, as lloca 2.0 does: strongly boosted frames otherwise
            send enormous messages.
        out_scale: of the initial weights of the last layer; with 0 the output starts at zero.
    """

    transformer: TransformerConfig = TransformerConfig(heads=4, vectors=2)
    frames: FramesConfig = FramesConfig()
    out_scalars: int = 0
    out_vectors: int = 1
    local_features: Callable[[Array], Array] = compressed
    see_references: bool = True
    preserve_variance: bool = True
    out_scale: float = 1.0


class LLoCa(nn.Module):
    """Scalars and four-vectors per particle, equivariant under Lorentz transformations and
    permutations.

    Attributes:
        config: sizes.
    """

    config: LLoCaConfig = LLoCaConfig()

    @nn.compact
    @in_full_precision
    def __call__(
        self,
        momenta: Float[Array, "*batch particle 4"],
        scalars: Float[Array, "*batch particle scalars"],
        references: Float[Array, "reference 4"] | None = None,
    ) -> tuple[
        Float[Array, "*batch particle {self.config.out_scalars}"],
        Float[Array, "*batch particle {self.config.out_vectors} 4"],
    ]:
        """Invariants, in the precision of `scalars`, and four-vectors in the global frame, in that
        of `momenta`.

        Give momenta in double precision where it is there: only the frames compute with them, the
        networks run in the precision of `scalars`.

        Args:
            momenta: (E, px, py, pz) of timelike or lightlike particles in units in which they are
                of order one.
            scalars: what else is known of each particle and the event (type, time), invariant.
            references: vectors which break the symmetry, the same for all events
                (`frames.lab_references`); none keeps it whole.

        Raises:
            InputError: the settings contradict each other, or a single particle has no other and no
                reference.
        """
        c, dtype, n = self.config, scalars.dtype, momenta.shape[-2]
        p, s = (x.reshape(prod(x.shape[:-2]), *x.shape[-2:]) for x in (momenta, scalars))
        no_references = jnp.zeros((0, 4), p.dtype)
        lab = no_references if references is None else references.astype(p.dtype)
        p = jnp.concatenate([p, jnp.broadcast_to(lab[None], (len(p), *lab.shape))], 1)
        products = inner_products(p)
        p, (mass, u0, u) = _to_event_frame(p, products, n)
        frames = LocalFrames(c.frames, name="frames")(p, products, s)
        lab = p[:, None, n:] if c.see_references else p[:, None, :0]
        lab = jnp.broadcast_to(lab, (len(p), n, *lab.shape[2:]))
        in_view = jnp.concatenate([p[:, :n, None], lab], 2)
        features = c.local_features(_seen(frames, in_view)).reshape(len(p), n, -1).astype(dtype)
        to_global = inverse(frames)
        if c.preserve_variance:
            scale = _inverse_gamma(frames, mass)
        else:
            scale = jnp.ones(s.shape[:2], p.dtype)
        transport = Transport(*(scale[..., None, None] * m for m in (to_global, frames)))
        n_components = 4 * c.out_vectors
        n_out = n_components + c.out_scalars
        backbone = Transformer(n_out, c.transformer, c.out_scale, name="transformer")
        y = backbone(jnp.concatenate([features, s], -1), transport)
        local = y[..., :n_components].reshape(len(p), n, c.out_vectors, 4).astype(p.dtype)
        v = _from_event_frame(_seen(to_global, local), u0[:, None, None], u[:, None, None])
        batch = scalars.shape[:-1]
        invariants = y[..., n_components:].reshape(*batch, c.out_scalars)
        return invariants, v.reshape(*batch, c.out_vectors, 4)


def _seen(
    frames: Float[Array, "batch particle 4 4"], vectors: Float[Array, "batch particle vector 4"]
) -> Float[Array, "batch particle vector 4"]:
    return einsum("bimn,bivn->bivm", frames, vectors)


def _to_event_frame(
    momenta: Float[Array, "batch other 4"], products: Float[Array, "batch other other"], n: int
) -> tuple[
    Float[Array, "batch other 4"],
    tuple[Float[Array, "batch"], Float[Array, "batch"], Float[Array, "batch 3"]],
]:
    """Everything in the rest frame of the n particles; with their mass and four-velocity.

    Any common frame would do for particles to meet in. In this one numbers stay small however fast
    the event is, and rounding errors too.
    """
    energies = products[:, :n].sum(1)  # times the mass
    mass, u0, u = four_velocity(momenta[:, :n, 1:].sum(1), energies[:, :n].sum(1))
    time = energies / mass[:, None]
    at_rest = to_rest(momenta, u0[:, None], u[:, None], time)
    return jnp.concatenate([time[..., None], at_rest], -1), (mass, u0, u)


def _from_event_frame(
    vectors: Float[Array, "*batch 4"], u0: Float[Array, "*#batch"], u: Float[Array, "*#batch 3"]
) -> Float[Array, "*batch 4"]:
    time = u0 * vectors[..., 0] + (u * vectors[..., 1:]).sum(-1)
    space = vectors[..., 1:] + u * ((vectors[..., 0] + time) / (1 + u0))[..., None]
    return jnp.concatenate([time[..., None], space], -1)


def _inverse_gamma(
    frames: Float[Array, "batch particle 4 4"], mass: Float[Array, "batch"]
) -> Float[Array, "batch particle"]:
    """1 / gamma of each frame in the rest frame of the event; a normalisation, without gradient."""
    floored_mass = jnp.sqrt(mass**2 + 1e-4)  # lloca's floor: a hundredth of the unit
    inverse_gamma = floored_mass[:, None] / (frames[:, :, 0, 0] * mass[:, None])
    return jax.lax.stop_gradient(jnp.minimum(inverse_gamma, 10.0))
