"""The stored lookup: built whole, or in part beside a change of merges."""
