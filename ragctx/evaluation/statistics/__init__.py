"""Statistics of paired comparisons: intervals, tests, and the power to see a difference."""
