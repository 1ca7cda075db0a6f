"""Text as people write it: words, sentences, and the shapes of lines."""
