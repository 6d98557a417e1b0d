"""Repair, decided: which row of a damaged component is wrong, on what evidence; and what may not be decided."""
