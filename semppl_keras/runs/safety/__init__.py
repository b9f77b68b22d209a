"""Run folders from anywhere: what is known is read, nothing is executed or lost."""
