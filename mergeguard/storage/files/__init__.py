"""Delimited text and Parquet as targets."""
