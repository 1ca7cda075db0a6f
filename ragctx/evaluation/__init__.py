"""Question sets and metrics: how answers are scored."""
