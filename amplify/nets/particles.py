"""Three networks with one face, from particles at a time of the flow to scalars and a four-vector
for each.

Each takes features [n, particle, feature] that a rotation about the beam leaves alone, four-momenta
[n, particle, 4] in units in which they are of order one, and times t [n], and returns scalars [n,
particle, out] and four-vectors [n, particle, 4], or None where it knows none. Particles are told
apart by a label.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from amplify.nets.algebra import embed_vector, extract_vector, symmetry_breaking
from amplify.nets.frames import lab_references
from amplify.nets.lgatr import LGATr, LGATrConfig
from amplify.nets.lloca import LLoCa, LLoCaConfig
from amplify.nets.transformer import Transformer, TransformerConfig
from amplify.nets.velocity import fourier_features
from amplify.ttbar import kinematics

FeaturesPerParticle = Float[Array, "n particle feature"]
Momenta = Float[Array, "n particle 4"]
Out = tuple[Float[Array, "n particle out"], Float[Array, "n particle 4"] | None]


class ParticleTransformer(nn.Module):
    """A transformer that knows nothing of four-vectors: momenta are features, azimuths among them
    as cosine and sine.

    Attributes:
        out: scalars per particle.
        config: size.
        frequencies: Fourier features of time.
    """

    out: int
    config: TransformerConfig = TransformerConfig()
    frequencies: int = 8

    @nn.compact
    def __call__(
        self, features: FeaturesPerParticle, momenta: Momenta, t: Float[Array, " n"]
    ) -> Out:
        """Scalars, and no four-vectors."""
        p_t, phi = kinematics.pt(momenta), kinematics.phi(momenta)
        # what falls along the beam has no rapidity: keep numbers in range, they are features only
        eta = jnp.clip(kinematics.pseudorapidity(momenta), -8, 8)
        kinematic = jnp.stack([jnp.log(p_t + 0.01), eta, jnp.cos(phi), jnp.sin(phi)], axis=-1)
        tokens = jnp.concatenate([kinematic, _labelled(features, t, self.frequencies)], axis=-1)
        return Transformer(self.out, self.config, out_scale=0.0)(tokens), None


class ParticleLGATr(nn.Module):
    """L-GATr (arXiv:2411.00446) with the beam and the time direction as references, channels of
    every particle.

    Attributes:
        out: scalars per particle.
        hidden_mv: multivector channels.
        hidden_s: scalar channels.
        blocks: transformer blocks.
        heads: attention heads.
        frequencies: Fourier features of time.
        settings: what else an LGATrConfig has.
    """

    out: int
    hidden_mv: int = 8
    hidden_s: int = 16
    blocks: int = 4
    heads: int = 4
    frequencies: int = 8
    settings: tuple[tuple[str, Any], ...] = ()

    @nn.compact
    def __call__(
        self, features: FeaturesPerParticle, momenta: Momenta, t: Float[Array, " n"]
    ) -> Out:
        """Scalars and a four-vector per particle."""
        scalars = _labelled(features, t, self.frequencies)
        references = symmetry_breaking().astype(momenta.dtype)
        references = jnp.broadcast_to(references, (*momenta.shape[:2], *references.shape))
        multivectors = jnp.concatenate([embed_vector(momenta)[..., None, :], references], axis=-2)
        config = LGATrConfig(
            in_mv=multivectors.shape[-2],
            out_mv=1,
            hidden_mv=self.hidden_mv,
            in_s=scalars.shape[-1],
            out_s=self.out,
            hidden_s=self.hidden_s,
            blocks=self.blocks,
            heads=self.heads,
            **dict(self.settings),
        )
        moved, out = LGATr(config)(multivectors, scalars)
        assert out is not None
        return out, extract_vector(moved[..., 0, :])


class ParticleLLoCa(nn.Module):
    """LLoCa (arXiv:2505.20280): a transformer in local frames, which the time direction and the
    beams help to choose.

    Attributes:
        out: scalars per particle.
        config: sizes; its numbers of outputs are replaced.
        frequencies: Fourier features of time.
    """

    out: int
    config: LLoCaConfig = LLoCaConfig()
    frequencies: int = 8

    @nn.compact
    def __call__(
        self, features: FeaturesPerParticle, momenta: Momenta, t: Float[Array, " n"]
    ) -> Out:
        """Scalars and a four-vector per particle."""
        config = self.config._replace(out_scalars=self.out, out_vectors=1, out_scale=0.0)
        scalars = _labelled(features, t, self.frequencies)
        out, moved = LLoCa(config)(momenta, scalars, lab_references(momenta.dtype))
        return out, moved[..., 0, :]


def _labelled(
    features: FeaturesPerParticle, t: Float[Array, " n"], frequencies: int
) -> Float[Array, "n particle scalar"]:
    """Features, a one-hot label of each particle, and Fourier features of time."""
    n, particles, _ = features.shape
    one_hot = jnp.eye(particles, dtype=features.dtype)
    label = jnp.broadcast_to(one_hot[None], (n, particles, particles))
    time = fourier_features(t, frequencies)[:, None]
    time = jnp.broadcast_to(time, (n, particles, 1 + 2 * frequencies))
    return jnp.concatenate([features, label, time], axis=-1)
