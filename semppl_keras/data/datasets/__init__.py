"""Data sets, by name or from a person's own folders: one type for all of them."""
