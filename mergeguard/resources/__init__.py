"""What both halves share about resources: what a guid is now, and merging that cannot make a cycle."""
