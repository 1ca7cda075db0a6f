"""The index: one folder on disk, SQLite as the truth and FAISS beside it."""
