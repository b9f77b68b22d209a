"""Images that a run has not seen, read and embedded as it reads its own."""

import dataclasses
import hashlib
from typing import Any

import numpy as np

from semppl_keras.data.images.blocks import decoded_in_blocks, joined
from semppl_keras.data.images.cache import decode_cached
from semppl_keras.data.images.decoding import DecodedRows, check_any_read, find_ranges
from semppl_keras.data.images.image_list import ImageList
from semppl_keras.data.images.progress import told_of
from semppl_keras.data.images.streamed_images import StreamedImages
from semppl_keras.data.images.streaming import LOOKED_AT
from semppl_keras.data.images.value_ranges import ValueRanges
from semppl_keras.networks import ImageEmbedder
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.prediction_progress import PredictionProgress
from semppl_keras.runs.progress import Progress

# Images that are decoded at once to be told from each other.
_AT_ONCE = 256


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """What a run makes of new images.

    Args:
        images: `(N, s, s, channels)` uint8, those that can be read: `StreamedImages`,
            of which none is held, but for those that can only be read one after the
            other.
        decoded: `DecodedRows` of them.
        features: `(N, F)`.
        digests: For each what tells its pixels from others.
        ranges: `ValueRanges` by which deep ones were read, or None.
        remarks: What is worth knowing about their values, a list of texts.
    """

    images: Any
    decoded: DecodedRows
    features: np.ndarray
    digests: list[bytes]
    ranges: ValueRanges | None
    remarks: list[str]


def see(finished: FinishedRun, embedder: ImageEmbedder, images: ImageList) -> Seen:
    """Decodes and embeds images, a block of them at a time.

    Those that can only be read one after the other are all decoded first.

    Args:
        finished: The run.
        embedder: Of its network.
        images: `ImageList`.

    Returns:
        `Seen`; what cannot be read is left out.

    Raises:
        ValueError: None can be read.
    """
    images = finished.images.decoded_before(images)
    looked_at = images.some(LOOKED_AT) if streams(finished, images) else images
    ranges, remarks = find_ranges(looked_at, finished.value_range)
    if images.at is not None:
        pixels, decoded, features, digests = _in_blocks(
            finished, embedder, images, ranges
        )
        return Seen(pixels, decoded, features, digests, ranges, remarks)
    # What cannot be read is told at the end.
    pixels, decoded = decode_cached(
        images,
        finished.image_size,
        finished.channels,
        fit=finished.fit,
        ranges=ranges,
        max_skipped=1.0,
        progress=told_of(Progress(), "images"),
    )
    progress = PredictionProgress(Progress("Labelling,"), "images", len(pixels))
    features = embedder.predict(pixels, verbose=0, callbacks=[progress])
    return Seen(pixels, decoded, features, digests_of(pixels), ranges, remarks)


def streams(finished: FinishedRun, images: ImageList) -> bool:
    """Whether new images are decoded when they are asked for, as a run's own were."""
    return finished.dataset.streamed and images.at is not None


def digests_of(images: Any) -> list[bytes]:
    """For each image what tells its pixels from others."""
    digests = []
    for start in range(0, len(images), _AT_ONCE):
        pixels = np.rint(np.asarray(images[start : start + _AT_ONCE])).astype("uint8")
        digests += [hashlib.blake2b(one.tobytes()).digest() for one in pixels]
    return digests


def _in_blocks(
    finished: FinishedRun,
    embedder: ImageEmbedder,
    images: ImageList,
    ranges: ValueRanges | None,
) -> tuple[StreamedImages, DecodedRows, np.ndarray, list[bytes]]:
    size, channels, fit = finished.image_size, finished.channels, finished.fit
    progress = Progress("Labelling,")
    parts, features, digests = [], [], []
    for pixels, decoded in decoded_in_blocks(
        images, size, channels, fit=fit, ranges=ranges
    ):
        parts.append(decoded)
        if len(pixels):
            features.append(embedder.predict(pixels, verbose=0))
            digests += digests_of(pixels)
        done = sum(len(part.kept) + len(part.skipped) for part in parts)
        progress("images", done, len(images))
    whole = joined(parts)
    check_any_read(whole, len(images))
    streamed, _ = decode_cached(
        images, size, channels, fit=fit, ranges=ranges, place="none", max_skipped=1.0
    )
    # None of them stands in for another: each is shown by its own name.
    streamed = streamed.rows(np.array(whole.kept)).labelled(np.arange(len(whole.kept)))
    return streamed, whole, np.concatenate(features), digests
