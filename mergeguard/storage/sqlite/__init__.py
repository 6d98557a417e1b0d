"""An SQLite file as a target: read without changing it, written in bulk."""
