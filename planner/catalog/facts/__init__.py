"""Sourced facts without a database: frozen records, the shipped files, and look-ups over both."""
