"""What an importer reads and writes in the reference schema."""
