"""What all databases share, in SQLAlchemy Core: snapshots, transactions, names and indexes."""
