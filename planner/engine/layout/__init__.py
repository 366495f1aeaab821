"""Which layouts there are: enumeration, and refusals of those that make no sense."""
