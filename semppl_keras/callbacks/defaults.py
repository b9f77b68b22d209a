"""What stands where nobody says it of a callback; the standard library alone."""

# So often there is a checkpoint within an epoch.
CHECKPOINT_MINUTES = 5.0
