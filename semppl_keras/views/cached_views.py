"""Views that were made before: some of what is kept of each image, drawn anew."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_integers, check_share
from semppl_keras.views import draws
from semppl_keras.views.cutout import squares

# Of the side of a map.
_SQUARE = 0.45


@keras.saving.register_keras_serializable(package="semppl_keras")
class CachedViews(keras.layers.Layer):
    """Draws views of each image among those whose lower features are kept.

    In place of a `MultiCrop` before the upper part of a backbone: what it takes are no
    images but what the lower part gives for some views of each, as
    `networks.cache_features` makes it, first the central view and then the random ones.
    Each image has its own draw, without repetition.

    Example:

    ```python
    lower, upper = split_backbone(backbone)
    cached = cache_features(lower, images, recipe("imagenet"), num_views=8)
    model = SemPPL(upper, num_classes=10, views=CachedViews(num_large=2))
    model.compile(optimizer)
    model.fit(cached, (cached[labelled], labels), epochs=20)
    model = model.on_pictures(lower, recipe("imagenet"))
    ```

    Args:
        num_large: int, at least 1, views drawn of each image.
        cutout: float in [0, 1], the share of views of which a square is set to 0, with
            a side of 0.45 of the map's and its centre anywhere (DeVries and Taylor,
            arXiv 1708.04552). Of feature maps alone.
    """

    cached = True
    # Of one kind, as they are: what is asked of a `MultiCrop`.
    num_small = 0
    large_size: int | None = None
    small_size: int | None = None
    sizes: tuple[int | None, ...] = (None,)
    min_image_size = 1
    background_removal = 0.0
    value_range: tuple[float, float] | None = None
    output_range: tuple[float, float] | None = None

    def __init__(self, num_large: int = 2, cutout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        check_integers(1, num_large=num_large)
        check_share(cutout=cutout)
        self.num_large = num_large
        self.cutout = cutout
        self.built = True

    @property
    def num_views(self) -> int:
        """Of each image in a step."""
        return self.num_large

    @property
    def described(self) -> str:
        """Which views a step has, in words."""
        return f"{self.num_large} of those that are kept"

    def check_channels(self, channels: int) -> None:
        """Features have any number of channels."""

    def call(
        self, features: Any, seed: Any = None, uniform: Any = None
    ) -> dict[str, Any]:
        """Draws the views.

        Args:
            features: `(B, 1 + K, ...)`, those of the central view and of K random ones.
            seed, uniform: as for `MultiCrop`.

        Returns:
            dict of `large`, `(B, num_large, ...)` float32.

        Raises:
            ValueError: if there are fewer than `num_large` random ones.
        """
        count = features.shape[1] - 1
        if count < self.num_large:
            raise ValueError(
                f"`features` must hold at least num_large={self.num_large} random "
                f"views of each image beside the central one. Received: shape "
                f"{tuple(features.shape)}, which is {count}."
            )
        size = ops.shape(features)[0]
        uniform = uniform or draws.uniform
        keys = uniform((size, count), seed=seed)
        drawn = ops.cast(ops.argsort(keys, axis=1)[:, : self.num_large] + 1, "int32")
        first = ops.arange(size, dtype="int32")[:, None] * (count + 1)
        rows = ops.reshape(features, (-1, *features.shape[2:]))
        views = ops.take(rows, first + drawn, axis=0)
        if self.cutout and len(views.shape) == 5:
            drawn = uniform((size, self.num_large, 3), seed=seed)
            views = views * self._kept(drawn, views.shape[2:4])
        return {"large": views}

    def _kept(self, drawn: Any, shape: tuple[int, int]) -> Any:
        """`(B, V, h, w, 1)`, 0 in the squares and 1 elsewhere.

        Args:
            drawn: `(B, V, 3)` in [0, 1): whether there is a square, and its centre.
            shape: (h, w).
        """
        side = _SQUARE * ops.cast(drawn[..., 0] < self.cutout, "float32")
        cut = squares(drawn[..., 1], drawn[..., 2], side, shape)
        return 1.0 - ops.cast(cut, "float32")[..., None]

    def center_view(self, features: Any) -> Any:
        """What is kept of the central view, `(B, ...)` float32."""
        return ops.cast(features[:, 0], "float32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_large": self.num_large,
            "cutout": self.cutout,
        }
