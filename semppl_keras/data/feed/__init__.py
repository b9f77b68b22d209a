"""Arrays and datasets to batches."""
