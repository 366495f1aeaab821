"""A report for who signs: one page and its annex, as a page to print, PDF, Markdown, CSV and Parquet."""
