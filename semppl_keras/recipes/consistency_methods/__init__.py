"""A function for each method of consistency training, by their names listed in
`CONSISTENCY_METHODS`."""
