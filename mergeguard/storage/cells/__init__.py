"""Values as they come, made into typed columns: guids, texts and times."""
