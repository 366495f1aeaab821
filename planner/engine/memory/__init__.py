"""Bytes of one rank at its peak: states, activations, buffers, the allocator."""
