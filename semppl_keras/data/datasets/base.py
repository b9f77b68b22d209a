"""What every data set can do, whatever it is made from."""

import abc
import collections.abc
import dataclasses
import os
from typing import Any, Self

from semppl_keras.data.datasets.opened_images import open_tested
from semppl_keras.data.defaults import LABELS_PER_CLASS, MAX_SKIPPED, UNTOLD_FIT
from semppl_keras.data.few_labels import FewLabels
from semppl_keras.data.images.image_list import ImageList
from semppl_keras.data.images.progress import Progress
from semppl_keras.data.images.table_options import TableOptions


@dataclasses.dataclass(frozen=True)
class Dataset(abc.ABC):
    """Images of which a few are labelled, by what they are found by.

    Nothing is read before it is asked for.

    Args:
        class_names: Tuple of str, classes that are known already, of a training that
            has begun: what is called so is a class, however it is spelled. It is no
            part of what a data set is.
    """

    class_names: tuple[str, ...] = dataclasses.field(
        default=(), kw_only=True, compare=False
    )

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What it is called where there is little room."""

    @property
    @abc.abstractmethod
    def sources(self) -> dict[str, str]:
        """What is read on this machine, by the argument that names it: "dataset", or
        "unlabelled", "labelled" and "test"; empty where there are no files."""

    @property
    @abc.abstractmethod
    def in_parts(self) -> bool:
        """Whether labelled images, and those to test on, can be had alone, by `part`:
        where they can, which are labelled is said with them, and not drawn."""

    @property
    @abc.abstractmethod
    def has_test(self) -> bool:
        """Whether there are images to test on."""

    @property
    def fit(self) -> str:
        """How its images become squares, as `read_image` takes it, and others to test
        on."""
        return UNTOLD_FIT

    @property
    def max_skipped(self) -> float:
        """The share of images that may be unreadable, of others to test on too."""
        return MAX_SKIPPED

    @property
    def streamed(self) -> bool:
        """Whether images are decoded when they are asked for, and kept nowhere."""
        return False

    @property
    def max_megapixels(self) -> float | None:
        """Millions of pixels of an image that may be decoded at once; None for as many
        as Pillow takes for safe."""
        return None

    @property
    def table_options(self) -> TableOptions:
        """How tables of labels are read, those of other images to test on too."""
        return TableOptions().keeping(self.class_names)

    @property
    def images_folder(self) -> str | None:
        """A folder in which images of a table are looked for that are not beside it."""
        return None

    @property
    @abc.abstractmethod
    def num_unlabelled(self) -> int | None:
        """How many unlabelled images there are, those included that may turn out to be
        unreadable; None where that is not known before they are loaded."""

    @abc.abstractmethod
    def to_json(self) -> str | dict[str, Any]:
        """What `json` can write, and `data.dataset` makes it from again."""

    @abc.abstractmethod
    def options(self) -> dict[str, Any]:
        """What tells it from others, by the names of the options of `semppl train`."""

    @abc.abstractmethod
    def resolved(self) -> Self:
        """The same from any working folder: paths in it absolute.

        Raises:
            FileNotFoundError: A source is none.
        """

    def knowing(self, class_names: collections.abc.Iterable[str]) -> Self:
        """The same with classes that are known already."""
        return dataclasses.replace(self, class_names=tuple(class_names))

    @abc.abstractmethod
    def opened(self) -> Self:
        """The same with what can be told before images are decoded.

        What is opened is kept, so that loading it opens nothing again.

        Raises:
            ValueError, FileNotFoundError, ImportError: A source is none.
        """

    @abc.abstractmethod
    def part(self, role: str) -> ImageList:
        """The images of one part alone, of a data set that is `in_parts`.

        Args:
            role: "labelled" or "test".

        Raises:
            ValueError, FileNotFoundError, ImportError: There is no such part.
        """

    def open_test(self, source: str, tables: TableOptions | None = None) -> ImageList:
        """Other images to test on, labelled with its classes, those that it knows.

        Args:
            source: As `load_own_images` takes `test`.
            tables: `TableOptions`; None for its own.

        Raises:
            ValueError, FileNotFoundError, ImportError: There are none.
        """
        options = tables or self.table_options
        return open_tested(
            source, self.class_names, options, self.images_folder, self.max_megapixels
        )

    @abc.abstractmethod
    def load(
        self,
        labels_per_class: int | str | None = LABELS_PER_CLASS,
        seed: int = 0,
        *,
        image_size: int | None = None,
        value_range: Any = None,
        cache_folder: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> FewLabels:
        """Loads it.

        Args:
            labels_per_class: As for `choose_labelled`.
            seed: Chooses the labelled images.
            image_size: To which a training enlarges smaller images; a data set that
                has a size of its own keeps it.
            value_range: Of deep images, as for `load_own_images`.
            cache_folder: In which decoded images may be kept, or None.
            progress: Function of (what is read, images done, images in all).

        Returns:
            `FewLabels`.

        Raises:
            ValueError, FileNotFoundError, ImportError: It cannot be had, or is none of
                few labels.
        """
