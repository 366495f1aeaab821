"""Keeping an installation: backup and restore.  Knows files and databases, nothing of plans."""
