"""How whoever waits for images to be read is told how far it is."""

import collections.abc

# Called with what is read, such as "images to test on", and how many images are done
# and there are in all.
Progress = collections.abc.Callable[[str, int, int], None]

# Called with how many images are done, and there are in all.
Counts = collections.abc.Callable[[int, int], None]


def told_of(progress: Progress | None, what: str) -> Counts | None:
    """The part of a `Progress` that tells of one thing."""
    if progress is None:
        return None
    return lambda done, total: progress(what, done, total)
