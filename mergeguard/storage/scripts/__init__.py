"""SQL for people without Python: the scripts for a profile, and a plan as statements."""
