"""Citations: labels and quotes of an answer, checked against the text of the pages."""
