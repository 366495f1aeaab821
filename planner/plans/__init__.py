"""One plan: the form that asks, the answer, and what its page, charts and exports say of it."""
