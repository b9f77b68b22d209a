"""A function for each method of consistency training; their list is `CONSISTENCY_METHODS`."""
