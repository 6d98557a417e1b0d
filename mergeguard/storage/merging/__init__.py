"""The statements of a merge: the lock, the roots, the row, and what they refuse."""
