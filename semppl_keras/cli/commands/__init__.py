"""The commands of `semppl`: their words and options."""
