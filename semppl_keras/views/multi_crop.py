"""Random views of images: L large and S small ones of each."""

import math
from typing import Any

import keras
from keras import ops

from semppl_keras.checks import (
    check_integers,
    check_not_negative,
    check_positive,
    check_share,
)
from semppl_keras.views import color, draws, spatial
from semppl_keras.views.center import center_square, check_center
from semppl_keras.views.checks import (
    check_bounds,
    check_probability_pairs,
    check_up_to,
)
from semppl_keras.views.value_ranges import from_unit_range, to_unit_range
from semppl_keras.views.view_draws import ViewDraws


@keras.saving.register_keras_serializable(package="semppl_keras")
class MultiCrop(keras.layers.Layer):
    """Large and small random views of a batch of images, made where it is called.

    Every view of every image has its own randomness: random resized crop, flip,
    rotation and shear where asked for, colour jitter (in any order alike), greyscale,
    Gaussian blur, solarisation, in this order. Blur and solarisation have two
    settings, which alternate over the views (BYOL's `augment_config`). All
    of it, rotation and shear apart, is a few batched matrix products (see `spatial`
    and `color`), compiled with the training step.

    Colour operations are applied without clipping between them, and the blur right
    after the crop, since it commutes with them (and, round as it is, with a
    rotation): values are clipped to their range once. BYOL's and SemPPL's code
    (`utils/augmentations.py`) differs in that, in strength alike: it adds a brightness
    where this multiplies by one, as SimCLRv2's does; scales the contrast about the mean
    of each channel, where this does about that of the luma; turns the hue, and scales
    the saturation, in HSV, where this does in YIQ and about the luma; and clips after
    each of the four.

    Example:

    ```python
    views = MultiCrop(num_large=2, num_small=2, large_size=32, small_size=16)
    batch = views(images)      # integers or floats in [0, 255], (B, h, w, 1 or 3)
    batch["large"].shape       # (B, 2, 32, 32, C), in [0, 1]
    ```

    Images may have any number of channels (the bands of a satellite, the stains of a
    microscope) where their colours are left alone: `color_jitter` and `grayscale` 0, or
    the four strengths of the jitter and `grayscale`.

    Args:
        num_large: int, L, at least 1.
        num_small: int, S, 0 for none.
        large_size: int, pixels of a side of a large view.
        small_size: int, pixels of a side of a small view.
        large_area: pair in (0, 1], range of the share of the image that a large
            view shows.
        small_area: the same of a small view.
        aspect_ratio: pair of positive floats, range of a crop's width / height.
        shift: float in [0, 1], the share of the image's side by which a crop may
            reach beyond it, on each side; what lies there repeats the edge. A crop of
            the whole image is the image moved by up to this share.
        flip: probability of a left-right flip.
        rotation: float in [0, 180], the angle is drawn from [-x, x] degrees, about
            the view's centre; what comes from beyond its edge repeats the edge. For
            drawings and scans rather than photographs, of which the paper's views
            rotate none.
        shear: float, not negative, the tangent of the angle by which columns are
            slanted is drawn from [-x, x].
        color_jitter: probability of the colour jitter.
        brightness, contrast, saturation: floats in [0, 1], the factor is drawn
            from [1 - x, 1 + x].
        hue: float in [0, 0.5], the turn is drawn from [-x, x] full circles.
        grayscale: probability of greyscale.
        blur: pair of probabilities, of views 0, 2, ... and of views 1, 3, ...
        blur_sigma: pair, range of the blur's standard deviation in pixels.
        solarize: pair of probabilities, as for `blur`.
        background_removal: probability that a large view is taken from the image
            with its background removed. If positive, the last channel of the
            images is a saliency mask (0 for background, the maximum of
            `value_range` for foreground); it does not appear in the views.
        fit: how `center_view` makes squares of images that are none: "crop" shows the
            central square, "pad" all of the image, between bars of a middle grey,
            "stretch" all of it, out of shape.
        center_crop: float in (0, 1], the share of the shorter side that `center_view`
            shows.
        center_interpolation: "bilinear", antialiased, for `center_view`; or "bicubic",
            a crop of whole pixels and `tf.image.resize`'s bicubic, which antialiases
            nothing. SemPPL's, BYOL's and SimCLRv2's code take 0.875, bicubic, for test
            images; `checkpoints` gives such views. Both are of the central square,
            with `fit="crop"`.
        value_range: pair, lowest and highest value of the images.
        output_range: pair, the same of the views: [0, 1], unless a pre-trained
            backbone expects another one.
    """

    def __init__(
        self,
        num_large: int = 2,
        num_small: int = 2,
        large_size: int = 224,
        small_size: int = 96,
        large_area: tuple[float, float] = (0.14, 1.0),
        small_area: tuple[float, float] = (0.05, 0.14),
        aspect_ratio: tuple[float, float] = (3 / 4, 4 / 3),
        shift: float = 0.0,
        flip: float = 0.5,
        rotation: float = 0.0,
        shear: float = 0.0,
        color_jitter: float = 0.8,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.2,
        hue: float = 0.1,
        grayscale: float = 0.2,
        blur: tuple[float, float] = (1.0, 0.1),
        blur_sigma: tuple[float, float] = (0.1, 2.0),
        solarize: tuple[float, float] = (0.0, 0.2),
        background_removal: float = 0.0,
        fit: str = "crop",
        center_crop: float = 1.0,
        center_interpolation: str = "bilinear",
        value_range: tuple[float, float] = (0, 255),
        output_range: tuple[float, float] = (0, 1),
        **kwargs: Any,
    ) -> None:
        # Views are made in float32 under every policy; the networks cast them.
        super().__init__(**{"dtype": "float32", **kwargs})
        check_integers(
            1, num_large=num_large, large_size=large_size, small_size=small_size
        )
        check_integers(0, num_small=num_small)
        check_share(
            shift=shift,
            flip=flip,
            color_jitter=color_jitter,
            brightness=brightness,
            contrast=contrast,
            saturation=saturation,
            grayscale=grayscale,
            background_removal=background_removal,
            center_crop=center_crop,
        )
        check_up_to(180, rotation=rotation)
        check_up_to(0.5, hue=hue)
        check_not_negative(shear=shear)
        check_positive(center_crop=center_crop)
        check_probability_pairs(blur=blur, solarize=solarize)
        check_bounds(0, 1, large_area=large_area, small_area=small_area)
        check_bounds(0, math.inf, aspect_ratio=aspect_ratio, blur_sigma=blur_sigma)
        check_bounds(-math.inf, math.inf, distinct=True, value_range=value_range)
        check_bounds(-math.inf, math.inf, output_range=output_range)
        check_center(fit, center_crop, center_interpolation)
        self.num_large = num_large
        self.num_small = num_small
        self.large_size = large_size
        self.small_size = small_size
        self.large_area = tuple(large_area)
        self.small_area = tuple(small_area)
        self.aspect_ratio = tuple(aspect_ratio)
        self.shift = shift
        self.flip = flip
        self.rotation = rotation
        self.shear = shear
        self.color_jitter = color_jitter
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue
        self.grayscale = grayscale
        self.blur = tuple(blur)
        self.blur_sigma = tuple(blur_sigma)
        self.solarize = tuple(solarize)
        self.background_removal = background_removal
        self.fit = fit
        self.center_crop = center_crop
        self.center_interpolation = center_interpolation
        self.value_range = (value_range[0], value_range[1])
        self.output_range = (output_range[0], output_range[1])
        self.built = True

    # Whether it takes what is kept of views, in place of images: see `CachedViews`.
    cached = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """Pixels of a side of each kind of view."""
        small = (self.small_size,) if self.num_small else ()
        return (self.large_size, *small)

    @property
    def described(self) -> str:
        """Which views a step has, in words."""
        kinds = f"{self.num_large} of {self.large_size} pixels"
        if self.num_small:
            kinds += f" and {self.num_small} of {self.small_size}"
        return kinds

    @property
    def num_views(self) -> int:
        """V = L + S."""
        return self.num_large + self.num_small

    @property
    def min_image_size(self) -> int:
        """Images below this many pixels a side would only be enlarged."""
        return self.small_size if self.num_small else self.large_size

    @property
    def recolors(self) -> bool:
        """Whether colours are changed, for which they must be grey or RGB."""
        strengths = (self.brightness, self.contrast, self.saturation, self.hue)
        return bool((self.color_jitter and any(strengths)) or self.grayscale)

    def check_channels(self, channels: int) -> None:
        """Raises a ValueError for images of as many channels, a mask apart, of which
        these views cannot be made."""
        if channels in (1, 3):
            return
        if self.background_removal:
            raise ValueError(
                "`background_removal` is for images of 1 or 3 channels and a mask. "
                f"Received: images of {channels} channels, background_removal="
                f"{self.background_removal}. Set it to 0."
            )
        if self.recolors:
            raise ValueError(
                "Colours are changed in images of 1 or 3 channels alone. Received: "
                f"images of {channels} channels, color_jitter={self.color_jitter}, "
                f"grayscale={self.grayscale}. Leave the colours alone: "
                "MultiCrop(color_jitter=0, grayscale=0, ...)."
            )

    def call(
        self, images: Any, seed: Any = None, uniform: Any = None
    ) -> dict[str, Any]:
        """Draws the views.

        Args:
            images: `(B, H, W, C)`, uint8 or float within `value_range`; C = 1 or
                3, and one more with `background_removal`; any where colours are left
                alone.
            seed: int for the same views every time, `keras.random.SeedGenerator`, or
                None for Keras' global one.
            uniform: what draws, with the signature of `keras.random.uniform`, which
                it is where None.

        Returns:
            dict of `large`, `(B, L, large_size, large_size, C)`, and, where
            `num_small` is positive, `small`, `(B, S, small_size, small_size, C)`:
            float32 within `output_range`.
        """
        if None in images.shape[1:3]:
            raise ValueError(
                "`images` must have a height and width that are known beforehand. "
                f"Received: images.shape={tuple(images.shape)}. Resize them to one "
                "size."
            )
        images = self._to_unit_range(images)
        uniform = uniform or draws.uniform
        large = range(self.num_large)
        small = range(self.num_large, self.num_views)
        if self.large_size == self.small_size and small:
            # Of one size, they are one batch of work.
            views = self._draw(
                images, range(self.num_views), self.large_size, seed, uniform
            )
            return {
                "large": views[:, : self.num_large],
                "small": views[:, self.num_large :],
            }
        views = {"large": self._draw(images, large, self.large_size, seed, uniform)}
        if small:
            if isinstance(seed, int):
                seed += 1  # The small views are not to repeat the large ones' draws.
            views["small"] = self._draw(images, small, self.small_size, seed, uniform)
        return views

    def center_view(self, images: Any) -> Any:
        """The view without randomness: a square, as `fit` has it, at the large size.

        Of the central square the share `center_crop` of a side, resized by
        `center_interpolation`.

        Args:
            images: `(B, H, W, C)` as for `call`; a saliency mask may be absent.

        Returns:
            `(B, large_size, large_size, C)` float32 within `output_range`.
        """
        if self.background_removal and images.shape[-1] in (2, 4):
            images = images[..., :-1]
        view = center_square(
            self._to_unit_range(images, centred=True),
            self.large_size,
            self.fit,
            self.center_crop,
            self.center_interpolation,
        )
        return self._to_output_range(view)[:, 0]

    def _draw(
        self, images: Any, views: range, size: int, seed: Any, uniform: Any
    ) -> Any:
        """Draws some of the views, those of 0 .. V - 1 in a range, all of one size."""
        drawn = ViewDraws(self, views, ops.shape(images)[0], seed, uniform)
        rows, columns = drawn.spatial_maps(size, images.shape[-2:])
        if self.background_removal > 0:
            colors, mask = images[:, :-1], images[:, -1:]
            images = ops.concatenate([colors, colors * mask], axis=1)
        made = spatial.resample(images, rows, columns)
        if self.background_removal > 0:
            whole, foreground = ops.split(made, 2, axis=2)
            removed = drawn.background_removed[..., None, None, None]
            made = ops.where(removed, foreground, whole)
        if self.rotation or self.shear:
            made = spatial.rotate_and_shear(made, drawn.angle, drawn.shear)
        if self.recolors:
            mean = ops.mean(made, axis=(-2, -1))
            made = color.transform_colors(made, *drawn.color_map(mean))
        else:
            made = ops.clip(made, 0.0, 1.0)
        if any(self.solarize):
            made = color.solarize(made, drawn.solarized)
        return self._to_output_range(made)

    def _to_unit_range(self, images: Any, centred: bool = False) -> Any:
        """Checks the channels; float32 in [0, 1], channels first.

        Args:
            images: `(B, H, W, C)`.
            centred: bool, whether the view is the central one, without a mask and
                with colours as they are.
        """
        masked = self.background_removal > 0 and not centred
        rank = len(images.shape)
        if rank != 4 or (masked and images.shape[-1] not in (2, 4)):
            raise ValueError(
                "`images` must have the shape (batch, height, width, channels) with "
                + (
                    "2 or 4 channels, the last one a saliency mask"
                    if masked
                    else "1 or 3 channels, or any where colours are left alone"
                )
                + f". Received: images.shape={tuple(images.shape)}."
            )
        if not (masked or centred):
            self.check_channels(images.shape[-1])
        images = ops.transpose(ops.cast(images, "float32"), (0, 3, 1, 2))
        return to_unit_range(images, self.value_range)

    def _to_output_range(self, views: Any) -> Any:
        """Channels last, within `output_range`."""
        return from_unit_range(ops.transpose(views, (0, 1, 3, 4, 2)), self.output_range)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in (
            "num_large",
            "num_small",
            "large_size",
            "small_size",
            "large_area",
            "small_area",
            "aspect_ratio",
            "shift",
            "flip",
            "rotation",
            "shear",
            "color_jitter",
            "brightness",
            "contrast",
            "saturation",
            "hue",
            "grayscale",
            "blur",
            "blur_sigma",
            "solarize",
            "background_removal",
            "fit",
            "center_crop",
            "center_interpolation",
            "value_range",
            "output_range",
        ):
            config[name] = getattr(self, name)
        return config
