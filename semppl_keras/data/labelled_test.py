"""Images to test on alone."""

import dataclasses

import numpy as np

from semppl_keras.data.image_arrays import as_images, as_labels, check_same_length


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledTest:
    """Images to test on alone.

    Args:
        images: `(M, h, w, c)` in [0, 255], c = 1 or 3.
        labels: `(M,)` integers from 0.
        class_names: One string per class, or None where they have numbers alone.
        name: What the data set is called in reports.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...] | None
    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", as_images(self.images, "x_test"))
        object.__setattr__(self, "labels", as_labels(self.labels, "y_test"))
        check_same_length(self.images, self.labels, "test")
