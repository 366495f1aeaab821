"""Plans as arrays: the grid, and the recipe of what a precision keeps."""
