"""British English, with dates that nobody can read the other way round."""
