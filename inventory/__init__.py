"""The fleet: what machines there are, and how they are doing."""
