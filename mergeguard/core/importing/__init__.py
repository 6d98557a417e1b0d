"""What an importer decides, without a database: who a resource is, which rows are written, which are older."""
