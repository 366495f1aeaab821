"""Fitting the constants to measured runs; the only importer of scipy. Not used by the running program."""
