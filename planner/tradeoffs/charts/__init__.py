"""The trade-offs page's charts: each a function from answers to a figure with its finding and its table."""
