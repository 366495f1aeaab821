"""JSON on one side, the engine's vocabulary on the other, as the JSON contract names them.

Pure: it knows the engine's records and the catalog's lookups, and must not know Django, files or the clock.
What comes in is checked once, here, with every problem found named; what goes out is plain and JSON-safe.
"""
