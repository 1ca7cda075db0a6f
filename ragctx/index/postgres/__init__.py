"""An index in a PostgreSQL database with pgvector: many processes read and write it at once."""
