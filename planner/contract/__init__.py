"""JSON on one side, the engine's vocabulary on the other, as the JSON contract names them.

Pure: it uses the engine's records and the catalog's look-ups, and neither Django nor files nor the clock.
What comes in is checked once, here, and every problem that is found is named; what goes out is plain and
JSON-safe.
"""
