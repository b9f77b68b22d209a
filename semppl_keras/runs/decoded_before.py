"""Images that a run has decoded to disk in its training, for what reads some again."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from semppl_keras.data import Dataset, OwnDataset
from semppl_keras.data.images.cache import holds_any, read_cached
from semppl_keras.data.images.image_list import ImageList
from semppl_keras.data.images.value_ranges import ValueRanges, as_ranges
from semppl_keras.runs.folder import value_range_of
from semppl_keras.runs.telling import tell

# What tells a file from another, or from what it was, beside its path.
_PARTS_OF_STATE = 4


def decoded_before(
    images: ImageList,
    dataset: Dataset,
    folder: pathlib.Path,
    settings: Mapping[str, Any],
    image_size: int,
    channels: int,
) -> ImageList:
    """The same images; of files that the run has decoded, and that have not changed
    since, the pixels are taken from `cache/` and told by number.

    Args:
        images: `ImageList`, to be read as the run reads its own.
        dataset: The run's, whose sources may be followed.
        folder: The run's.
        settings: What its `run.json` holds.
        image_size, channels: To which images are brought.
    """
    cache = folder / "cache"
    if not isinstance(dataset, OwnDataset) or not holds_any(cache):
        return images
    given = value_range_of(settings)
    ranges = None if given == "each" else as_ranges(given or ValueRanges())
    known: dict[tuple[Any, ...], np.ndarray] = {}
    for listed, num_first in _lists(dataset):
        found = read_cached(
            listed,
            image_size,
            channels,
            fit=dataset.fit,
            folder=cache,
            ranges=ranges,
            num_first=num_first,
        )
        if found is None or listed.max_pixels != images.max_pixels:
            continue
        pixels, decoded = found
        # Of these there is something to tell, which the pixels do not.
        remarkable = {*decoded.beyond, *decoded.several}
        states = listed.states()
        for row, index in enumerate(decoded.kept):
            state = _state(states[index])
            if state is not None and index not in remarkable:
                known[state] = pixels[row]
    return _with_pixels(images, known, cache)


def _lists(dataset: OwnDataset) -> Iterator[tuple[ImageList, int | None]]:
    """What a run decodes, as `decode_cached` takes it, as far as it is still there."""
    try:
        few = dataset.part("labelled")
        yield few + dataset.part("unlabelled"), len(few)
        if dataset.has_test:
            yield dataset.part("test"), None
    except (OSError, ValueError):
        return


def _state(state: Any) -> tuple[Any, ...] | None:
    """What tells a file from others, wherever it is called from; None of no file."""
    if not isinstance(state, tuple) or len(state) != 1 + _PARTS_OF_STATE:
        return None
    return os.path.abspath(state[0]), *state[1:]


def _with_pixels(
    images: ImageList, known: Mapping[tuple[Any, ...], np.ndarray], cache: pathlib.Path
) -> ImageList:
    states = [_state(state) for state in images.states()]
    rows = [None if state is None else known.get(state) for state in states]
    count = sum(row is not None for row in rows)
    if not count:
        return images
    tell(f"{count:,} of {len(images):,} images are decoded already, in {cache}.")

    def contents() -> Iterator[Any]:
        for content, row in zip(images.contents(), rows, strict=True):
            yield content if row is None else np.array(row)

    at = images.at

    def at_number(number: int) -> Any:
        row = rows[number]
        assert at is not None
        return at(number) if row is None else np.array(row)

    return dataclasses.replace(
        images, contents=contents, at=None if at is None else at_number
    )
