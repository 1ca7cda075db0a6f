"""Explanation: why a prompt holds what it holds, in words, as a bar and as a page."""
