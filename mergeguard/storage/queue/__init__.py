"""The event queue in the database: one module a dialect, behind one interface."""
