"""The entry points: one plan estimated, many plans searched."""
