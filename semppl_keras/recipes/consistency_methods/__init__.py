"""A function for each method of consistency training."""
