"""Finds, explains, repairs and prevents defects in a table of resource merges."""
