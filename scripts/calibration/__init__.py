"""Fitting the timing constants to measured runs, and saying how well they predict runs they have not seen.

Run by ``make calibrate`` (fit and write), ``make validate`` (compare and report) and ``make bench-accuracy``.
"""
