"""What all pages share: formats, figures, CSV, htmx swaps, the glossary. Independent of any single page."""
