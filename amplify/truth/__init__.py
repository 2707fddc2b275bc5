"""Truth that is known in closed form: densities to sample from, and the integrals and distances that estimates must find."""
