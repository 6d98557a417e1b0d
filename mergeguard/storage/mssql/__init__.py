"""SQL Server as a target: read packed or through Arrow, written in chunks."""
