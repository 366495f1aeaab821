"""Question, answer and errors as frozen records."""
