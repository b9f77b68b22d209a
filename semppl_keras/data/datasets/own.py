"""A person's own images as a data set."""

import collections.abc
import dataclasses
import os
from typing import Any, Self

from semppl_keras.data.datasets.base import Dataset
from semppl_keras.data.datasets.opened_images import (
    OpenedImages,
    open_own_images,
    usual_size,
)
from semppl_keras.data.datasets.own_images import OwnImages
from semppl_keras.data.defaults import CACHE, FIT, MAX_SKIPPED, UNTOLD_FIT
from semppl_keras.data.images.geometry import check_fit
from semppl_keras.data.images.image_list import ImageList
from semppl_keras.data.images.progress import Progress
from semppl_keras.data.images.source_names import (
    Source,
    images_folder,
    own_name,
    resolved_source,
)
from semppl_keras.data.images.sources import check_source, open_images
from semppl_keras.data.images.table_options import TableOptions


@dataclasses.dataclass(frozen=True)
class OwnDataset(Dataset):
    """Folders, tables or archives of images: without labels, and with.

    Args:
        unlabelled, labelled, test: Sources, as `load_own_images` takes them; `test`
            None where there are none to test on.
        image_size: Integer, pixels of a side; None for the size of the labelled
            images within bounds, which `opened` fills in.
        fit: How they become squares, as `read_image` takes it.
        backbone: Name of a network, or None. It is the recipe's (`recipes.for_dataset`)
            and of no use here: a run folder keeps it beside the images.
        max_skipped: Float in [0, 1], the share of images that may be unreadable.
        cache: Where decoded images are kept: "auto", "memory", "disk" or "none".
        max_megapixels: Float, millions of pixels of an image that may be decoded at
            once; None for as many as Pillow takes for safe.
        tables: `TableOptions`.
        images: `OpenedImages`, where `opened` has opened them, or None.

    Example:
        >>> OwnDataset("photos", "labels.csv").opened().image_size
        96
    """

    unlabelled: Source
    labelled: Source
    test: Source | None = None
    image_size: int | None = None
    fit: str = FIT
    backbone: str | None = None
    max_skipped: float = MAX_SKIPPED
    cache: str = CACHE
    max_megapixels: float | None = None
    tables: TableOptions = dataclasses.field(default_factory=TableOptions)
    images: OpenedImages | None = dataclasses.field(
        default=None, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        check_fit(self.fit)
        for role, source in self.sources.items():
            object.__setattr__(self, role, source)

    @classmethod
    def from_json(cls, entries: collections.abc.Mapping[str, Any]) -> Self:
        """As `to_json` has written it.

        Args:
            entries: Mapping; what of it is no argument is passed over.

        Raises:
            ValueError: The options of tables are none.
        """
        names = (*_SOURCES, *_WRITTEN, "max_megapixels")
        return cls(
            **{
                "fit": UNTOLD_FIT,
                **{name: entries[name] for name in names if name in entries},
            },
            tables=TableOptions.from_dict(entries.get("tables")),
        )

    def to_json(self) -> dict[str, Any]:
        entries = {name: getattr(self, name) for name in (*_SOURCES, *_WRITTEN)}
        if self.max_megapixels is not None:
            entries["max_megapixels"] = self.max_megapixels
        if not self.tables.lenient:
            entries["tables"] = self.tables.to_dict()
        return entries

    def options(self) -> dict[str, Any]:
        entries = self.to_json()
        tables = entries.pop("tables", {})
        return {**entries, **tables}

    @property
    def name(self) -> str:
        return own_name(self.unlabelled)

    @property
    def sources(self) -> dict[str, str]:
        named = {role: getattr(self, role) for role in _SOURCES}
        return {role: str(one) for role, one in named.items() if one is not None}

    @property
    def in_parts(self) -> bool:
        return True

    @property
    def has_test(self) -> bool:
        return self.test is not None

    @property
    def streamed(self) -> bool:
        return self.cache == "none"

    @property
    def table_options(self) -> TableOptions:
        return self.tables.keeping(self.class_names)

    @property
    def images_folder(self) -> str | None:
        return images_folder(self.unlabelled)

    @property
    def num_unlabelled(self) -> int | None:
        return None if self.images is None else len(self.images.unlabelled)

    def resolved(self) -> Self:
        # Told as they were given, and not by where that would be.
        for role in ("labelled", "unlabelled", "test"):
            if role in self.sources:
                check_source(self.sources[role], role)
        return dataclasses.replace(
            self,
            unlabelled=resolved_source(self.unlabelled),
            labelled=resolved_source(self.labelled),
            test=None if self.test is None else resolved_source(self.test),
            images=None,
        )

    def knowing(self, class_names: collections.abc.Iterable[str]) -> Self:
        return dataclasses.replace(self, class_names=tuple(class_names), images=None)

    def opened(self) -> Self:
        opened = dataclasses.replace(self, images=self._opened())
        return dataclasses.replace(opened, image_size=opened.usual_size())

    def labelled_share(self) -> float:
        """How many of its images are labelled, counting once what is named twice."""
        images = self._opened()
        labelled = set(images.labelled.names)
        others = sum(name not in labelled for name in images.unlabelled.names)
        return len(labelled) / (len(labelled) + max(1, others))

    def usual_size(self) -> int:
        """Pixels of a side: the `image_size`, or that of the labelled images, for which
        they are opened."""
        return self.image_size or usual_size(self._opened().labelled, self.fit)

    def part(self, role: str) -> ImageList:
        source = self.sources[role]
        return open_images(
            source, role, self.table_options, self.images_folder, self.max_megapixels
        )

    def load(
        self,
        labels_per_class: int | str | None = None,
        seed: int = 0,
        *,
        image_size: int | None = None,
        value_range: Any = None,
        cache_folder: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> OwnImages:
        return self._opened().load(
            self.test,
            labels_per_class,
            seed,
            image_size=self.image_size or image_size,
            fit=self.fit,
            value_range=value_range,
            max_skipped=self.max_skipped,
            cache_folder=cache_folder,
            cache=self.cache,
            progress=progress,
        )

    def _opened(self) -> OpenedImages:
        if self.images is not None:
            return self.images
        return open_own_images(
            self.unlabelled, self.labelled, self.table_options, self.max_megapixels
        )


_SOURCES = ("unlabelled", "labelled", "test")
# Beside the sources, and the options of tables.
_WRITTEN = ("image_size", "fit", "backbone", "max_skipped", "cache")
