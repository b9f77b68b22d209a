"""Images that are found by their place in batches, which are asked for by number."""

import collections.abc
import itertools

import numpy as np

from semppl_keras.data.feed.batches import Batch, chosen, join

Wanted = list[tuple[int, np.ndarray]]


def placed_batches(
    places: collections.abc.Iterable[np.ndarray],
    count: int,
    size: int,
    drawn: collections.abc.Callable[
        [collections.abc.Iterable[int]], collections.abc.Iterator[Batch]
    ],
    name: str,
) -> collections.abc.Iterator[Batch]:
    """Yields the images at some places, and asks for no other batches than theirs.

    Args:
        places: For each batch that is wanted, ascending places of its images in the
            pass; past its end they go on from its beginning.
        count: int, images of the pass.
        size: int, images of each of its batches, of which only the last may be smaller.
        drawn: function of batch numbers that yields these batches.
        name: str, the argument to name in an error.

    Raises:
        ValueError: if another batch is smaller.
    """
    asked, planned = itertools.tee(
        _by_number(wanted % count, size) for wanted in places
    )
    numbers = (number for wanted in asked for number, _ in wanted)
    # A batch that two parts lie in is asked for once.
    batches = drawn(number for number, _ in itertools.groupby(numbers))
    held, batch = -1, None
    for wanted in planned:
        parts = []
        for number, offsets in wanted:
            if number != held or batch is None:
                held, batch = number, next(batches)
                full = min(size, count - number * size)
                if len(batch.images) != full:
                    raise ValueError(
                        f"`{name}` must yield batches of one size, but for the last, "
                        "where several processes read their shares of them. Received: "
                        f"{len(batch.images)} images in batch {number}, where {full} "
                        "were expected."
                    )
            parts.append(chosen(batch, offsets))
        yield join(parts)


def _by_number(places: np.ndarray, size: int) -> Wanted:
    """(batch number, places in it), in the order of the places."""
    numbers, offsets = np.divmod(places, size)
    ends = np.flatnonzero(np.diff(numbers)) + 1
    return [
        (int(part[0]), own)
        for part, own in zip(
            np.split(numbers, ends), np.split(offsets, ends), strict=True
        )
    ]
