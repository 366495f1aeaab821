"""Planning: from a described run to memory, time and cost."""
