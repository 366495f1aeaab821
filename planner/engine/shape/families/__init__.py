"""Model families described by their parts: a row or a short function each, from a config's keys to blocks."""
