"""What stands where nobody says it of a callback; the standard library alone."""

import warnings

# So often there is a checkpoint within an epoch.
CHECKPOINT_MINUTES = 5.0


# Functions with a name: a callback is copied and pickled, by tuners for one.
def never() -> bool:
    """Nothing asks to stop."""
    return False


def warned_of(text: str) -> None:
    """What is told is a warning, of the line that tells it."""
    warnings.warn(text, stacklevel=2)
