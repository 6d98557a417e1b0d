"""Whole rows as exact images: read, compared, changed only where they are still the same."""
