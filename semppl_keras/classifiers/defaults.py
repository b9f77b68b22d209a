"""What stands where nobody says it of a classifier; the standard library alone."""

# Of what a teacher says: as it says it.
TEMPERATURE = 1.0
