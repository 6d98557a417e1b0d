"""Use cases: scan, explain, resolve, lookup, discover, doctor. One call each, no terminal, no SQL."""
