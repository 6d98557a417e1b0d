"""The guard: triggers and constraints that refuse a circle, a module a dialect."""
