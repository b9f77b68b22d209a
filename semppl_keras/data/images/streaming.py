"""Lists of images as such that are decoded when they are asked for."""

import hashlib
import os
from typing import Any

import numpy as np

from semppl_keras.data.images.decoding import DecodedRows
from semppl_keras.data.images.image_list import ImageList, decode
from semppl_keras.data.images.streamed_images import StreamedImages
from semppl_keras.data.images.value_ranges import ValueRanges

# Of so many the headers are read, to tell whether there are colours, and values of more
# than 8 bits: those of a million files would take minutes.
LOOKED_AT = 1000

REMARK = (
    "Images are decoded for each batch anew, and kept nowhere: what cannot be read is "
    "found out in training, where another stands in for it, and copies of the same "
    "pixels under other names are not looked for."
)


def streamed(
    images: ImageList,
    size: int,
    channels: int,
    *,
    fit: str,
    ranges: ValueRanges | None,
    num_first: int | None,
    max_skipped: float,
) -> tuple[StreamedImages, DecodedRows]:
    """Images as `decode_cached` gives them, of which none is decoded.

    Args:
        images, size, channels, fit, ranges, max_skipped: As it takes them.
        num_first: A later one of the very name of one of the first is left out. None to
            keep all.

    Returns:
        `StreamedImages`, and the `DecodedRows` of them, where names stand for pixels.

    Raises:
        ValueError: They can only be read one after the other.
    """

    def decoded(content: Any) -> np.ndarray:
        return decode(content, size, channels, ranges, fit, images.max_pixels).pixels

    first = images.names[: num_first or 0]
    known = {os.path.abspath(name) for name in first}
    kept: list[int] = list(range(len(first)))
    repeated: list[int] = []
    for index in range(len(first), len(images)):
        again = bool(known) and os.path.abspath(images.names[index]) in known
        (repeated if again else kept).append(index)
    rows = StreamedImages(images, size, channels, decoded, max_skipped=max_skipped)
    digests = [images.names[index] for index in kept]
    return rows.rows(np.array(kept)), DecodedRows(
        kept, digests, [], repeated, [], [], []
    )


def digest_of_names(names: tuple[str, ...]) -> str:
    """What differs where images of other names, or in another order, are trained on.

    By the last part of their paths: a folder may be elsewhere, and of a million files
    even the sizes would take minutes on a network's disk.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in names:
        digest.update(os.fsencode(os.path.basename(name)) + b"\0")
    return digest.hexdigest()
