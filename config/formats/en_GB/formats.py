"""Dates and times of the pages in ``en-gb``: 25 Nov 2026, 14:21, and 2026-11-25 in form fields."""

DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = "j M Y, H:i"
DATE_INPUT_FORMATS = ["%Y-%m-%d", "%d/%m/%Y"]
