"""PyTorch's caching allocator, simulated: what training steps of varying lengths leave in its cache."""
