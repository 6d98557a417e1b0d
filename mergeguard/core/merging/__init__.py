"""What a merge decides and what it moves, worked out from a handful of rows."""
