"""How dates and times are written and read, by locale."""
