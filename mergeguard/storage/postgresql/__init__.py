"""PostgreSQL as a target: read in bulk in one snapshot, written by COPY."""
