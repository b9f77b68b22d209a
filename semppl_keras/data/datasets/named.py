"""Data sets that a short text names."""

import dataclasses
import os
from typing import Any, Self

from semppl_keras.data.datasets.base import Dataset
from semppl_keras.data.datasets.digits import load_digits
from semppl_keras.data.datasets.folder import load_folder, load_folder_test
from semppl_keras.data.datasets.npz import load_npz, load_npz_test
from semppl_keras.data.datasets.specs import divided, is_spec, last_part, resolved_spec
from semppl_keras.data.datasets.tfds import load_tfds
from semppl_keras.data.defaults import LABELS_PER_CLASS, UNTOLD_FIT
from semppl_keras.data.few_labels import FewLabels
from semppl_keras.data.images.image_list import ImageList
from semppl_keras.data.images.progress import Progress
from semppl_keras.data.labelled_test import LabelledTest


@dataclasses.dataclass(frozen=True)
class NamedDataset(Dataset):
    """A data set by its name.

    Args:
        spec: `"digits"`, `"npz:FILE"`, `"tfds:NAME"` or `"folder:DIR"`.
        fit: How the images of a folder become squares, as `read_image` takes it: that
            of what is tested on them. It is no part of what a data set is.

    Raises:
        ValueError: None of the four.

    Example:
        >>> NamedDataset("digits").load(labels_per_class=1).x_labelled.shape
        (10, 8, 8, 1)
    """

    spec: str
    fit: str = dataclasses.field(default=UNTOLD_FIT, kw_only=True, compare=False)

    def __post_init__(self) -> None:
        if not is_spec(self.spec):
            raise ValueError(
                "The data set must be 'digits', 'npz:FILE' (a NumPy archive), "
                "'tfds:NAME' (TensorFlow Datasets) or 'folder:DIR' (a folder of images "
                f"for each class). Received: {self.spec!r}."
            )
        object.__setattr__(self, "spec", str(self.spec))

    @property
    def name(self) -> str:
        return last_part(self.spec)

    @property
    def sources(self) -> dict[str, str]:
        # The digits come with scikit-learn: there is nothing to be followed.
        return {} if self.spec == "digits" else {"dataset": self.spec}

    @property
    def in_parts(self) -> bool:
        return False

    @property
    def has_test(self) -> bool:
        return True

    @property
    def num_unlabelled(self) -> int | None:
        return None

    def to_json(self) -> str:
        return self.spec

    def options(self) -> dict[str, Any]:
        return {"dataset": self.spec}

    def resolved(self) -> Self:
        return dataclasses.replace(self, spec=resolved_spec(self.spec))

    def opened(self) -> Self:
        return self

    def part(self, role: str) -> ImageList:
        raise ValueError(
            f"The {role} images of {self.spec!r} come with all the others: load them."
        )

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
        # Everything is held in memory, and soon there.
        del cache_folder, progress
        data = load(
            self.spec,
            labels_per_class,
            seed,
            image_size=image_size,
            fit=self.fit,
            value_range=value_range,
        )
        return data if image_size is None else data.enlarged(image_size)

    def load_test(
        self, seed: int = 0, *, image_size: int | None = None, value_range: Any = None
    ) -> LabelledTest:
        """Loads the images to test on, as `data.load_test`."""
        return load_test(
            self.spec,
            seed,
            image_size=image_size,
            fit=self.fit,
            value_range=value_range,
        )


def load(
    spec: str,
    labels_per_class: int | str | None = LABELS_PER_CLASS,
    seed: int = 0,
    *,
    image_size: int | None = None,
    fit: str = UNTOLD_FIT,
    value_range: Any = None,
) -> FewLabels:
    """Loads the data set that a short text names.

    Args:
        spec: `"digits"`, `"npz:FILE"`, `"tfds:NAME"` or `"folder:DIR"`.
        labels_per_class: As for `choose_labelled`.
        seed: Chooses the labelled images (and the test images of the digits and of a
            folder without `test/`).
        image_size: To which images of a folder are resized; the others keep theirs.
        fit, value_range: Of the images of a folder, as for `load_folder`.

    Returns:
        `FewLabels`.

    Raises:
        ValueError: None of the four, or what the four functions raise.
        FileNotFoundError: `FILE` or `DIR` does not exist.
        ImportError: `tfds:` without tensorflow-datasets.

    Example:
        >>> load("npz:fashion_mnist.npz", labels_per_class=10)
    """
    kind, rest = divided(NamedDataset(spec).spec)
    if kind == "digits":
        return load_digits(labels_per_class, seed)
    if kind == "npz":
        return load_npz(rest, labels_per_class, seed)
    if kind == "tfds":
        return load_tfds(rest, labels_per_class=labels_per_class, seed=seed)
    return load_folder(
        rest,
        labels_per_class,
        seed,
        image_size=image_size,
        fit=fit,
        value_range=value_range,
    )


def load_test(
    spec: str,
    seed: int = 0,
    *,
    image_size: int | None = None,
    fit: str = UNTOLD_FIT,
    value_range: Any = None,
) -> LabelledTest:
    """Loads the test images of a data set, which needs no others.

    Args:
        spec: As for `load`. An npz file needs `x_test` and `y_test` alone; a folder
            without `test/` is to test on as a whole.
        seed: Chooses the test images of the digits.
        image_size, fit, value_range: As for `load`.

    Returns:
        `LabelledTest`.

    Raises:
        ValueError, FileNotFoundError, ImportError: As `load`.
    """
    kind, rest = divided(spec)
    if kind == "npz":
        return load_npz_test(rest)
    if kind == "folder":
        return load_folder_test(
            rest, image_size=image_size, fit=fit, value_range=value_range
        )
    data = load(spec, None, seed)
    if data.x_test is None or data.y_test is None:
        raise ValueError(
            f"There must be labels of the test images. Received: {data.name}, which "
            "has none."
        )
    return LabelledTest(data.x_test, data.y_test, data.class_names, data.name)
