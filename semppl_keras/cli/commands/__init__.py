"""The commands of `semppl`: words, options, printing."""
