"""Files of our own: plans, overrides, baselines, history, reports."""
