"""The only Flax Linen code: networks, as `init` and `apply`."""
