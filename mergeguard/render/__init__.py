"""Reports: one module a format, each a pure function from values to text."""
