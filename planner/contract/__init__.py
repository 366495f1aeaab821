"""JSON on one side, the engine's vocabulary on the other.  No Django."""
