"""The error of the command line."""


class CommandError(Exception):
    """A mistake of the user's, told without a traceback."""
