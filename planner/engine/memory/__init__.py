"""Bytes of one rank at its peak: states, activations, buffers and the caching allocator's reserve."""
