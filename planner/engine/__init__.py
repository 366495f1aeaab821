"""The pure core: standard library and numpy.  No Django, no files, no clock."""
