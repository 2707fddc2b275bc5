"""Trainable densities as pure functions, and the coordinates in which they see events."""
