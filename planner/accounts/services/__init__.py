"""Everything that writes the room's tables: the audit log, the groups of roles, people from elsewhere."""
