"""Images decoded some at a time, for what needs to see each of them once."""

import collections.abc
import itertools

import numpy as np

from semppl_keras.data.images.decoding import DecodedRows, decode_into
from semppl_keras.data.images.image_list import ImageList
from semppl_keras.data.images.value_ranges import ValueRanges

# Images of 224 pixels take 77 MB then.
_AT_ONCE = 512


def decoded_in_blocks(
    images: ImageList,
    size: int,
    channels: int,
    *,
    fit: str,
    ranges: ValueRanges | None = None,
    at_once: int = _AT_ONCE,
) -> collections.abc.Iterator[tuple[np.ndarray, DecodedRows]]:
    """Decodes a list of images block by block, of which one is held.

    Args:
        images: `ImageList` whose images can be read alone.
        size: int, pixels of a side.
        channels: 1 or 3.
        fit, ranges: as `decode_into` takes them.
        at_once: int, images of a block.

    Yields:
        `(n, size, size, channels)` uint8, those of a block that can be read, which may
        be none; and its `DecodedRows`, whose indices are those in the whole list.

    Example:
        >>> for pixels, decoded in decoded_in_blocks(images, 96, 3, fit="pad"):
        ...     features.append(embedder.predict(pixels))
    """
    for start in range(0, len(images), at_once):
        part = images.chosen(range(start, min(start + at_once, len(images))))
        rows = np.empty((len(part), size, size, channels), "uint8")
        # Whoever takes them all knows how many may be unreadable.
        decoded = decode_into(rows, part, fit=fit, ranges=ranges, max_skipped=1.0)
        moved = {
            name: [start + index for index in getattr(decoded, name)]
            for name in ("kept", "repeated", "duplicates", "beyond", "several")
        }
        yield rows[: len(decoded.kept)], decoded._replace(**moved)


def joined(parts: collections.abc.Iterable[DecodedRows]) -> DecodedRows:
    """The `DecodedRows` of all blocks."""
    fields = zip(*parts, strict=True)
    return DecodedRows(*(list(itertools.chain(*lists)) for lists in fields))
