"""Which layouts exist: enumerating them, and refusing those that make no sense."""
