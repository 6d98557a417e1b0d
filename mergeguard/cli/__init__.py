"""The command line: one file a command, flags to one call to rendering."""
