"""Readers' pages of the catalog: prices, machines, accelerators, models, changes, freshness; no login to
read."""
