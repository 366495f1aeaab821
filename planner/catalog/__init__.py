"""Sourced facts about accelerators, instances, prices and models, and their checked loader.  No Django."""
