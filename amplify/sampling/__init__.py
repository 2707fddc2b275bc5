"""From trained members to generated events: Monte Carlo, or scrambled Sobol latents that all
members share.
"""

from amplify.latents import sobol_latents, uniform_latents
from amplify.sampling.members import Block, check_size, generated_blocks, sample_members

__all__ = [
    "Block",
    "check_size",
    "generated_blocks",
    "sample_members",
    "sobol_latents",
    "uniform_latents",
]
