"""What the lower part of a backbone gives for a few views of each image, kept."""

import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.checks import check_integers
from semppl_keras.data.feed.checked_batches import checked_inputs
from semppl_keras.data.images.memory import free_memory
from semppl_keras.kernels import quick_inference
from semppl_keras.networks.backbone_contract import input_channels

# Of the memory that is free: training needs some, too.
_MEMORY_SHARE = 0.5
# Views that pass the network at once.
_VIEWS_AT_ONCE = 64


def cache_features(
    lower: keras.Model,
    images: Any,
    views: Any,
    num_views: int = 4,
    *,
    seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> np.ndarray:
    """Features of the central view and of random views of each image.

    They are kept in half precision: in memory where they take at most half of what is
    free, else in a file without a name, which is gone with the process.

    Args:
        lower: model from views to what is kept, see `split_backbone`. It runs as in
            inference.
        images: array `(N, H, W, C)` in the views' `value_range`.
        views: the `MultiCrop` of which the large views are taken.
        num_views: int, K, at least 1, random views of each image.
        seed: int, of these views.
        folder: where the file is, None for the system's folder of such.
        progress: function of two ints, images that are done and all, called now and
            then.

    Returns:
        `(N, 1 + K, ...)` float16, the central view first.

    Raises:
        ValueError: if there is no room for them, the images do not fit, or a value is
            too large for half precision.
    """
    check_integers(1, num_views=num_views)
    images = checked_inputs("images", images, views, input_channels(lower))
    maker = _CachedFeatures(lower, views, num_views, seed)
    shape = (len(images), 1 + num_views, *cached_shape(lower, views))
    rows = _room(shape, folder)
    at_once = max(1, _VIEWS_AT_ONCE // (1 + num_views))
    with quick_inference(maker):
        for start in range(0, len(images), at_once):
            batch = images[start : start + at_once]
            # The last one is filled up: one size is compiled.
            filled = np.resize(batch, (at_once, *batch.shape[1:]))
            features = np.asarray(keras.Model.predict_on_batch(maker, filled))
            largest = np.abs(features).max()
            if not largest <= np.finfo("float16").max:
                raise ValueError(
                    f"'{lower.name}' must give values that half precision holds, up to "
                    f"65,504. Received: {largest:.3g}. Cut the backbone at another "
                    "layer."
                )
            rows[start : start + at_once] = features[: len(batch)]
            if progress is not None:
                progress(start + len(batch), len(images))
    return rows


def cached_shape(lower: keras.Model, views: Any) -> tuple[int, ...]:
    """The shape of what is kept of one view.

    Args:
        lower: model from views to what is kept.
        views: the `MultiCrop` of the images.
    """
    size = views.large_size
    image = keras.KerasTensor((None, size, size, input_channels(lower)), "float32")
    return tuple(lower(image).shape[1:])


def cache_gigabytes(
    lower: keras.Model, views: Any, count: int, num_views: int
) -> float:
    """What `cache_features` of so many images takes, in 10^9 bytes.

    Args:
        lower, views, num_views: as in `cache_features`.
        count: int, images.
    """
    return _gigabytes((count, 1 + num_views, *cached_shape(lower, views)))


def _gigabytes(shape: tuple[int, ...]) -> float:
    return 2 * float(np.prod(shape, dtype="int64")) / 1e9


def _room(shape: tuple[int, ...], folder: Any) -> np.ndarray:
    """An array for the features, in memory or in a file."""
    size = _gigabytes(shape)
    if size * 1e9 <= _MEMORY_SHARE * free_memory():
        return np.empty(shape, "float16")
    folder = tempfile.gettempdir() if folder is None else folder
    free = shutil.disk_usage(folder).free / 1e9
    if size > 0.9 * free:
        raise ValueError(
            f"The features that are kept take {size:.2f} GB: {shape[0]:,} images of "
            f"{shape[1]} views (with the central one), {shape[2:]} in half precision. "
            f"Received: {free_memory() / 1e9:.2f} GB of free memory, {free:.2f} GB in "
            f"{str(folder)!r}. Take fewer views (num_views), smaller ones "
            "(large_size), or cut the backbone nearer to its features (at)."
        )
    with tempfile.TemporaryFile(dir=folder) as file:
        # The mapping keeps it for as long as it is used.
        return np.memmap(file, "float16", "w+", shape=shape)


class _CachedFeatures(keras.Model):
    """Images to the lower features of their central and of random views."""

    def __init__(
        self, lower: keras.Model, views: Any, num_views: int, seed: int
    ) -> None:
        super().__init__(autocast=False, name="cached_features")
        changes = {"num_large": num_views, "num_small": 0}
        self.views = type(views).from_config({**views.get_config(), **changes})
        self.lower = lower
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, images: Any) -> Any:
        """`(B, 1 + K, ...)` float32."""
        random = self.views(images, seed=self.seed_generator)["large"]
        views = ops.concatenate([self.views.center_view(images)[:, None], random], 1)
        flat = ops.reshape(views, (-1, *views.shape[2:]))
        features = ops.cast(self.lower(flat, training=False), "float32")
        return ops.reshape(features, (-1, views.shape[1], *features.shape[1:]))
