"""Judging the constants on measured runs, and writing the report and its documents."""
