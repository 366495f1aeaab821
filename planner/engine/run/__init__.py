"""The whole run: its steps and its bill."""
