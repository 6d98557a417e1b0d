"""The names of the tables that the benchmarks make: those of the profile that fits when nothing is said."""

TABLE, OLD, NEW = "ResourceMerge", "OldGuid", "NewGuid"
LOOKUP = "mergeguard_lookup"
LOOKUP_COLUMNS = ("old_guid", "current_guid", "depth", "status")
