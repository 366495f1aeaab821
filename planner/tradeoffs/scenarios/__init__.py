"""Saved plans: a snapshot of question and answer, what changed since, side by side, and links to share."""
