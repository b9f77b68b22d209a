"""The error of the functions of `semppl_keras.runs`."""


class RunError(ValueError):
    """What a user has asked for cannot be done; the message says what to do."""


class MissingPictures(RunError):
    """Images of a run are gone, or may not be read where it says."""
