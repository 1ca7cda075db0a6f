"""PDFs: read in another process under limits, into text that follows the page."""
