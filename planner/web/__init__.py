"""What all pages share: formats, figures, CSV, swaps, the glossary. Knows no room."""
