"""The JSON contract for programs: HTTP, JSON Lines."""
