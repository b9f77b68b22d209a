"""A person's own images that a run was trained and tested with, read again."""

import csv
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from semppl_keras.checks import listed
from semppl_keras.data import Dataset, choose_labelled
from semppl_keras.data.defaults import CACHE
from semppl_keras.data.few_labels import rows_of
from semppl_keras.data.images.cache import decode_cached
from semppl_keras.data.images.decoding import find_ranges
from semppl_keras.data.images.progress import told_of
from semppl_keras.data.images.spreadsheets import content_of
from semppl_keras.data.images.streamed_images import StreamedImages
from semppl_keras.data.images.streaming import LOOKED_AT
from semppl_keras.runs.decoded_before import decoded_before
from semppl_keras.runs.errors import MissingPictures, RunError
from semppl_keras.runs.folder import value_range_of
from semppl_keras.runs.progress import Progress
from semppl_keras.runs.safety.json_files import integer, read_json
from semppl_keras.runs.telling import tell

# What is told while they are read.
_IMAGES = {"labelled": "labelled images", "test": "images to test on"}


class LabelledImages(NamedTuple):
    """Images with labels.

    Args:
        images: `(n, s, s, channels)` in [0, 255], or `StreamedImages`.
        labels: `(n,)` integers.
        names: list of str, what each is called: its path where it is known.
    """

    images: Any
    labels: np.ndarray
    names: list[str]


class RunImages:
    """The labelled images of a run, of which there are few, and those to test on.

    Args:
        folder: `pathlib.Path` of the run.
        named: What it is called in messages.
        settings: Dict, what its `run.json` holds.
        dataset: Its `Dataset`, which is in parts; its sources may be followed.
        class_names: One text for each class.
        image_size: Pixels of a side, to which images are brought.
        channels: 1 or 3, to which they are.
        photos: Folder in which they are now, None for where they were in training.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        named: pathlib.Path,
        settings: dict[str, Any],
        dataset: Dataset,
        class_names: Sequence[str],
        image_size: int,
        channels: int,
        *,
        photos: str | None = None,
    ) -> None:
        self.folder, self.named = folder, named
        self.settings = settings
        self.dataset = dataset
        self.class_names = class_names
        self.image_size = image_size
        self.channels = channels
        self.photos = photos

    def test(self) -> LabelledImages | None:
        """Those to test on, or None where none is of the run's classes."""
        tested, known, _ = self._read("test")
        if not known.any():
            return None
        return LabelledImages(
            rows_of(tested.images, np.flatnonzero(known)),
            tested.labels[known],
            [tested.names[index] for index in np.flatnonzero(known)],
        )

    def labelled(self) -> LabelledImages:
        """Those that it was trained with.

        Raises:
            RunError: They are of other classes, or of one there are too few.
        """
        source, names = self._place("labelled"), self.class_names
        own, known, skipped = self._read("labelled")
        if not known.all():
            raise RunError(
                f"The labelled images of {str(self.named)!r} must be of its classes, "
                f"{', '.join(names[:5])}, ... Received: others, such as "
                f"{own.names[np.argmin(known)]!r} in {source}. Bring the labels back, "
                "or train again."
            )
        count = self.settings["labels_per_class"]
        lost = self._lost_since(skipped)
        self._check_classes_left(own.labels, 1 if count == "all" else count, lost)
        chosen = choose_labelled(
            own.labels,
            None if count == "all" else count,
            len(names),
            self.settings["seed"],
        )
        # Of a folder, what is gone is not even listed.
        before = read_json(self.folder / "metrics.json", {"num_labelled": integer(1)})
        missing = max(len(lost), before["num_labelled"] - len(chosen))
        if missing > 0:
            such_as = f": {listed(lost)}" if lost else ""
            tell(
                f"Note: {missing:,} of the {before['num_labelled']:,} labelled images "
                f"that the run was trained with are missing{such_as}; what is "
                f"left in {source} is used."
            )
        return LabelledImages(
            rows_of(own.images, chosen),
            own.labels[chosen],
            [own.names[index] for index in chosen],
        )

    def _place(self, role: str) -> str:
        """Where they are, for messages."""
        return self.photos or self.dataset.sources[role]

    def _read(self, role: str) -> tuple[LabelledImages, np.ndarray, Sequence[Any]]:
        """Those that can be read, which are of a class of the run, and the others."""
        found = self.dataset.part(role)
        if not self.dataset.streamed:
            found = decoded_before(
                found,
                self.dataset,
                self.folder,
                self.settings,
                self.image_size,
                self.channels,
            )
        looked_at = found.some(LOOKED_AT) if self.dataset.streamed else found
        ranges, _ = find_ranges(looked_at, value_range_of(self.settings))
        images, decoded = decode_cached(
            found,
            self.image_size,
            self.channels,
            fit=self.dataset.fit,
            ranges=ranges,
            place="none" if self.dataset.streamed else CACHE,
            max_skipped=1.0,
            progress=told_of(Progress(), _IMAGES[role]),
        )
        labels = found.numbers_of(decoded.kept, self.class_names)
        if isinstance(images, StreamedImages):
            images = images.labelled(labels)
        names = [found.names[index] for index in decoded.kept]
        return LabelledImages(images, labels, names), labels >= 0, decoded.skipped

    def _lost_since(self, skipped: Sequence[Any]) -> list[str]:
        """Of the `Skipped` the names that could be read in training."""
        if self.photos is not None:
            # They were called otherwise; how many there are tells what is gone.
            return []
        path = self.folder / "skipped.tsv"
        earlier: set[str] = set()
        if path.is_file():
            # As `semppl train` has written it.
            try:
                with path.open(
                    encoding="utf-8", errors="surrogateescape", newline=""
                ) as file:
                    rows = csv.reader(file, delimiter="\t")
                    earlier = {content_of(row[0]) for row in rows if row}
            except csv.Error as error:
                raise RunError(
                    f"{str(path)!r} must be the table that semppl train has written. "
                    f"Received: something else ({error}). Remove it."
                ) from error
        return [one.name for one in skipped if one.name not in earlier]

    def _check_classes_left(
        self, labels: np.ndarray, needed: int, lost: Sequence[str]
    ) -> None:
        counts = np.bincount(labels, minlength=len(self.class_names))
        short = np.flatnonzero(counts < needed)
        if len(short):
            names = [repr(self.class_names[int(number)]) for number in short]
            source = self._place("labelled")
            raise MissingPictures(
                f"Every class of the run in {str(self.named)!r} must have the "
                f"labelled images that it was trained with, at least {needed}. "
                f"Received: {counts[short[0]]} of {names[0]} in {source}"
                + (f", too few of {', '.join(names[1:])}, too" if names[1:] else "")
                + (f"; missing: {listed(lost)}" if lost else "")
                + ". Bring the files back, or train again."
            )
