"""Changes to the catalog as records: proposed, held against rules, accepted by someone, undone."""
