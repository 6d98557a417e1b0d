"""The journal of runs: what each one changed, with all that takes it back."""
