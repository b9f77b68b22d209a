"""Messages of the package's own, found again in what a backend makes of them."""

import contextlib

_BEGIN, _END = "[semppl_keras: ", " :semppl_keras]"


def marked(message):
    """A message that `explanation_of` finds in an error's text."""
    return _BEGIN + message + _END


def explanation_of(error):
    """The ValueError whose marked message an error's text holds, or None."""
    message = str(error)
    if _BEGIN not in message:
        return None
    return ValueError(message.split(_BEGIN, 1)[1].split(_END)[0])


@contextlib.contextmanager
def explained():
    """Raises what `explanation_of` an error gives in its place."""
    try:
        yield
    except Exception as error:
        explanation = explanation_of(error)
        if explanation is None:
            raise
        raise explanation from None
