"""The catalog as it was: rows as of a day, and whole snapshots as partitioned Parquet with a manifest."""
