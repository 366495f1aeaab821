"""MIG: which partitions a mix of jobs needs, placed as the driver places them, and the way there."""
