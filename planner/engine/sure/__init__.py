"""How sure: what was fitted, and intervals from errors on runs left out."""
