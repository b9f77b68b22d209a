"""A weak view of each image to predict from, and strong ones to be taught."""

import inspect
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_integers, check_share
from semppl_keras.views import draws
from semppl_keras.views.cutout import Cutout
from semppl_keras.views.multi_crop import MultiCrop
from semppl_keras.views.named import recipe
from semppl_keras.views.rand_augment import RandAugment
from semppl_keras.views.value_ranges import from_unit_range
from semppl_keras.views.variants import changed, single_view


@keras.saving.register_keras_serializable(package="semppl_keras")
class WeakStrong(keras.layers.Layer):
    """One weak and some strong views of a batch of images.

    What consistency training is made of (FixMatch, arXiv 2001.07685): what the weak
    view of an image is taken for is to be said of its strong views as well. Each strong
    view is made of a weak one of its own, or drawn from the image by a `MultiCrop`, and
    then lacks a square.

    Example:

    ```python
    views = WeakStrong("mild")
    batch = views(images)      # (B, h, w, C) in [0, 255]
    batch["weak"].shape        # (B, 28, 28, C), in [0, 1]
    batch["strong"].shape      # (B, 1, 28, 28, C)
    ```

    Args:
        weak: `MultiCrop`, of which every view is like the first large one; or the name
            of its settings, see `recipe`.
        strong: what is done to weak views, a layer whose `call` takes images in
            [0, 1], `seed` and `uniform` as that of `RandAugment` does, and is built
            here for images of any channels; or a `MultiCrop` of the
            same size and ranges, whose views are like its first large one. None for
            `RandAugment(2)`; `RandAugment(0)` does nothing.
        cutout: float in [0, 1], the side of the square that a strong view lacks, in
            shares of its own: see `Cutout`. 0 for none.
        num_strong: int, at least 1, strong views of each image.

    Attributes:
        large_size, sizes, value_range, output_range, min_image_size: the weak views'.
    """

    cached = False
    background_removal = 0.0
    num_small = 0

    def __init__(
        self,
        weak: MultiCrop | str = "mild",
        strong: Any = None,
        cutout: float = 0.5,
        num_strong: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        check_share(cutout=cutout)
        check_integers(1, num_strong=num_strong)
        weak = recipe(weak) if isinstance(weak, str) else weak
        _check_views(weak, strong)
        self.weak = single_view(weak)
        self.strong = RandAugment(2) if strong is None else strong
        self.cutout = cutout
        self.num_strong = num_strong
        self._cut = Cutout(cutout)
        own = isinstance(strong, MultiCrop)
        self._weak_views = _alike(weak, 1 if own else 1 + num_strong)
        self._strong_views = _alike(strong, num_strong) if own else None
        if not self.strong.built:
            self.strong.build((None, self.large_size, self.large_size, None))
        self.built = True

    @property
    def large_size(self) -> int:
        """Pixels of a side of each view."""
        return self.weak.large_size

    @property
    def small_size(self) -> int:
        """As `MultiCrop` has it, though none is small."""
        return self.weak.small_size

    @property
    def sizes(self) -> tuple[int, ...]:
        """Pixels of a side of each kind of view."""
        return self.weak.sizes

    @property
    def num_large(self) -> int:
        """Views of each image, the weak one among them."""
        return 1 + self.num_strong

    @property
    def num_views(self) -> int:
        """Views of each image."""
        return self.num_large

    @property
    def described(self) -> str:
        """Which views a step has, in words."""
        return f"1 weak and {self.num_strong} strong of {self.large_size} pixels"

    @property
    def value_range(self) -> tuple[float, float]:
        """Lowest and highest value of the images."""
        return self.weak.value_range

    @property
    def output_range(self) -> tuple[float, float]:
        """The same of the views."""
        return self.weak.output_range

    @property
    def min_image_size(self) -> int:
        """Images below this many pixels a side would only be enlarged."""
        return self.weak.min_image_size

    def check_channels(self, channels: int) -> None:
        """Raises a ValueError for images of as many channels of which these views
        cannot be made."""
        self.weak.check_channels(channels)
        if self._strong_views is not None:
            self._strong_views.check_channels(channels)

    def call(
        self, images: Any, seed: Any = None, uniform: Any = None
    ) -> dict[str, Any]:
        """Draws the views.

        Args:
            images: `(B, h, w, C)`, uint8 or float within `value_range`.
            seed, uniform: as for `MultiCrop`.

        Returns:
            dict of `weak`, `(B, large_size, large_size, C)`, and `strong`,
            `(B, num_strong, large_size, large_size, C)`, float32 within
            `output_range`.
        """
        uniform = uniform or draws.uniform
        views = self._weak_views(images, seed=seed, uniform=uniform)["large"]
        weak, strong = views[:, 0], views[:, 1:]
        if self._strong_views is not None:
            seed = _next(seed)
            strong = self._strong_views(images, seed=seed, uniform=uniform)["large"]
        shape = (-1, self.num_strong, *strong.shape[2:])
        strong = ops.reshape(strong, (-1, *strong.shape[2:]))
        of_views = _for_each_view(uniform, ops.shape(images)[0], self.num_strong)
        changes = [self._cut] if self._strong_views else [self.strong, self._cut]
        for change in changes:
            seed = _next(seed)
            strong = change(strong, seed=seed, uniform=of_views)
        strong = ops.reshape(strong, shape)
        return {
            "weak": from_unit_range(weak, self.output_range),
            "strong": from_unit_range(strong, self.output_range),
        }

    def center_view(self, images: Any) -> Any:
        """The view without randomness, `(B, large_size, large_size, C)`: see
        `MultiCrop`."""
        return self.weak.center_view(images)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "weak": serialize(self.weak),
            "strong": serialize(self.strong),
            "cutout": self.cutout,
            "num_strong": self.num_strong,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WeakStrong":
        parts = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in ("weak", "strong")
        }
        return cls(**{**config, **parts})


def _check_views(weak: Any, strong: Any) -> None:
    """Raises an error for views that do not go together."""
    for name, views in (("weak", weak), ("strong", strong)):
        is_crop = isinstance(views, MultiCrop)
        if is_crop and views.background_removal > 0:
            raise ValueError(
                f"`{name}` must take images without a mask. Received: "
                f"background_removal={views.background_removal}. Set it to 0."
            )
        other = name == "strong" and (views is None or isinstance(views, keras.Layer))
        if not is_crop and not other:
            raise TypeError(
                f"`{name}` must be a MultiCrop"
                + (" or its name" if name == "weak" else ", another layer or None")
                + f". Received: {views!r}."
            )
        if not is_crop and isinstance(views, keras.Layer):
            _check_takes_draws(views)
    if isinstance(strong, MultiCrop):
        for name in ("large_size", "value_range", "output_range"):
            if getattr(strong, name) != getattr(weak, name):
                raise ValueError(
                    f"`strong` must have the `{name}` of `weak`. Received: "
                    f"{getattr(strong, name)} and {getattr(weak, name)}."
                )


def _check_takes_draws(layer: keras.Layer) -> None:
    """Raises a TypeError for a layer whose draws would not be those of the step."""
    taken = inspect.signature(layer.call).parameters
    if not {"seed", "uniform"} <= taken.keys():
        raise TypeError(
            "`strong` must be a layer whose `call` takes images, `seed` and `uniform`, "
            "from which its draws follow. Received: "
            f"{type(layer).__name__}, whose `call` takes {', '.join(taken)}. Make a "
            "layer that has them, as `RandAugment`, and uses what it needs."
        )


def _alike(views: MultiCrop, count: int) -> MultiCrop:
    """Views in [0, 1] of which every one is like the first large one of others."""
    return changed(
        views,
        num_large=count,
        num_small=0,
        blur=(views.blur[0],) * 2,
        solarize=(views.solarize[0],) * 2,
        output_range=(0, 1),
    )


def _for_each_view(
    uniform: Callable[..., Any], count: Any, views: int
) -> Callable[..., Any]:
    """What draws for the `views` of each of `count` images, of what draws for images:
    replicas share the draws out by images."""

    def draw(shape: tuple[Any, ...], seed: Any = None) -> Any:
        drawn = uniform((count, views, *shape[1:]), seed=seed)
        return ops.reshape(drawn, (-1, *shape[1:]))

    return draw


def _next(seed: Any) -> Any:
    """Another seed, so that a draw does not repeat the one before."""
    return seed + 1 if isinstance(seed, int) else seed
