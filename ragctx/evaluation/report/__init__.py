"""The report of a comparison: one HTML page, Markdown, JSON and CSV."""
