"""One run on every machine of the catalog: rows, chart and page."""
