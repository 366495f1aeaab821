"""Reinforcement learning, phase by phase: generation, scoring, training."""
