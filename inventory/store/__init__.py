"""The fleet's tables: what reads them, what writes them, and the tasks that ask for it."""
