"""Members from a user's own generator, a callable in any framework."""
