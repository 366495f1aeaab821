"""Seconds of a step: FLOPs, kernels, blocks, collectives, what overlaps."""
