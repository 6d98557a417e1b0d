"""All SQL and all files: profiles, targets, bulk readers, one module a dialect or format."""
