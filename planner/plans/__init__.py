"""One plan: the form, the answer, and its page, charts and exports."""
