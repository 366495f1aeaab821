"""The fleet's tables: reading them, writing them, and the tasks that start either."""
