"""Choosing what a question leaves open: nodes, layout, and the change that would make a plan fit."""
