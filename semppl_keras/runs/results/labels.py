"""What `label` gives back."""

import dataclasses
import pathlib
from typing import Any, Self

import numpy as np

from semppl_keras.data.images.streamed_images import StreamedImages
from semppl_keras.reports.counted import counted
from semppl_keras.reports.shown import shown

# More classes than these are counted together where they are printed.
_TOLD = 20


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Labels:
    """What a classifier says of images, and what they are like.

    Printed it is short: how many images of each class, and where the table is.

    Args:
        names: list of str, of each image its path, or its place.
        images: `(N, s, s, channels)` uint8, as the classifier saw them:
            `StreamedImages`, which are decoded when they are asked for; an array of
            those that can only be read one after the other.
        probabilities: `(N, C)`.
        features: `(N, F)`.
        labelled_features: `(M, F)` of the labelled images of the run.
        nearest: `(N, k)` indices of the labelled images whose features are nearest,
            the image itself left out; -1 where there are no others.
        skipped: list of `Skipped`, what could not be read.
        given: list of str, the class that a person has given each, "" where none has.
        remarks: list of str, what is worth knowing about the images.
        ranges: `ValueRanges` by which deep images were read, or None.
        class_names: A text for each column of the probabilities.
        kept: `(n,)` indices of the images that are in the table; None for all.
        table: `pathlib.Path` of the table, or None where none was written.
        review: `(n,)` indices of the images on the page to look through, or None where
            none was written.
        none_of_these: `(N,)`, how probable it is that an image shows none of the
            classes, or None where that was not asked.
    """

    names: list[str]
    images: Any
    probabilities: np.ndarray
    features: np.ndarray
    labelled_features: np.ndarray
    nearest: np.ndarray
    skipped: list[Any]
    given: list[str]
    remarks: list[str]
    ranges: Any
    class_names: tuple[str, ...] = ()
    kept: np.ndarray | None = None
    table: pathlib.Path | None = None
    review: np.ndarray | None = None
    none_of_these: np.ndarray | None = None

    def moved(self, places: list[str]) -> Self:
        """The same of images that are elsewhere now.

        Args:
            places: Of each its path.
        """
        images = self.images
        if isinstance(images, StreamedImages):
            images = images.moved(places)
        return dataclasses.replace(self, names=places, images=images)

    @property
    def confidences(self) -> np.ndarray:
        """`(N,)`, the largest probability of each."""
        return self.probabilities.max(axis=1)

    @property
    def predicted(self) -> np.ndarray:
        """`(N,)` integers, the most probable class of each."""
        return self.probabilities.argmax(axis=1)

    @property
    def expected_mistakes(self) -> float:
        """Of the images in the table, how many are expected to be labelled wrongly.

        By their confidences, as if each showed one of the classes; an image that a
        person has given a class by that class.
        """
        given = np.array(self.given)[self.rows]
        names = np.array(self.class_names)[self.predicted[self.rows]]
        right = self.confidences[self.rows]
        wrong = np.where(given == "", 1 - right, given != names)
        return float(wrong.sum())

    @property
    def expected_strangers(self) -> float:
        """Of the images in the table, how many may show none of the classes; 0 where
        that was not asked."""
        if self.none_of_these is None:
            return 0.0
        known = np.array(self.given)[self.rows] != ""
        return float(np.where(known, 0, self.none_of_these[self.rows]).sum())

    @property
    def rows(self) -> np.ndarray:
        """`(n,)` indices of the images that are in the table."""
        return np.arange(len(self.names)) if self.kept is None else self.kept

    def counts(self) -> np.ndarray:
        """`(C,)` integers, of each class how many images the table has."""
        return np.bincount(
            self.predicted[self.rows], minlength=self.probabilities.shape[1]
        )

    def __repr__(self) -> str:
        counts = self.counts()
        names = self.class_names or range(len(counts))
        total = int(counts.sum())
        lines = [f"Labels of {counted(total, 'image', 'images')}"]
        width = max((len(shown(name)) for name in names), default=0)
        lines += [
            f"  {shown(name):<{width}}{count:>8,}"
            for name, count in zip(names, counts, strict=True)
        ][:_TOLD]
        if len(counts) > _TOLD:
            others = counted(len(counts) - _TOLD, "other class", "other classes")
            lines.append(f"  {others}: {int(counts[_TOLD:].sum()):,}")
        if len(self.names) > total:
            lines.append(f"  left out, less certain: {len(self.names) - total:,}")
        lines.append(f"  expected to be wrong: {self.expected_mistakes:,.0f}")
        if self.skipped:
            lines.append(f"  not read: {len(self.skipped):,}")
        if self.table is not None:
            lines.append(f"  table: {shown(self.table)}")
        return "\n".join(lines)
