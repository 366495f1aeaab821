"""Reading prices and facts where they are published. Each source is a file; only this room imports boto3."""
