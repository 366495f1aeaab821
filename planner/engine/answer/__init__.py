"""The conductors: one plan estimated, many plans searched."""
