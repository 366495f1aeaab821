"""Predicted against measured: the runs, the constants in force, the report and its page."""
