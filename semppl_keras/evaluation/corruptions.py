"""The common corruptions of Hendrycks & Dietterich (2019)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from semppl_keras.checks import check_integers
from semppl_keras.evaluation import corruption_functions as functions
from semppl_keras.evaluation.corruption_names import CORRUPTIONS, SEVERITIES
from semppl_keras.evaluation.inputs import as_array

# Halfway, by ratio, between the sizes that the two sets of constants were made for.
_SMALL_BELOW = 85
_LEAST_SIDE = 8


class Corruption(NamedTuple):
    """A corruption, and the constants of severities 1 to 5 that its authors published.

    Args:
        function: Of images, random generators and one of the constants.
        small: Those of CIFAR-10-C.
        large: Those of ImageNet-C.
    """

    function: Callable[..., np.ndarray]
    small: tuple[tuple[float, ...], ...]
    large: tuple[tuple[float, ...], ...]


# The authors' elastic constants are shares of 244, for images of 224 pixels.
_ELASTIC = 244 / 224

PUBLISHED = {
    "gaussian_noise": Corruption(
        functions.gaussian_noise,
        ((0.04,), (0.06,), (0.08,), (0.09,), (0.10,)),
        ((0.08,), (0.12,), (0.18,), (0.26,), (0.38,)),
    ),
    "shot_noise": Corruption(
        functions.shot_noise,
        ((500,), (250,), (100,), (75,), (50,)),
        ((60,), (25,), (12,), (5,), (3,)),
    ),
    "impulse_noise": Corruption(
        functions.impulse_noise,
        ((0.01,), (0.02,), (0.03,), (0.05,), (0.07,)),
        ((0.03,), (0.06,), (0.09,), (0.17,), (0.27,)),
    ),
    "defocus_blur": Corruption(
        functions.defocus_blur,
        ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
        ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    ),
    "glass_blur": Corruption(
        functions.glass_blur,
        ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
        ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    ),
    "motion_blur": Corruption(
        functions.motion_blur,
        ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
        ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    ),
    "zoom_blur": Corruption(
        functions.zoom_blur,
        ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
        ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    ),
    "snow": Corruption(
        functions.snow,
        (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
        (
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ),
    ),
    "frost": Corruption(
        functions.frost,
        ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
        ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
    ),
    "fog": Corruption(
        functions.fog,
        ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
        ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    ),
    "brightness": Corruption(
        functions.brightness,
        ((0.05,), (0.1,), (0.15,), (0.2,), (0.3,)),
        ((0.1,), (0.2,), (0.3,), (0.4,), (0.5,)),
    ),
    "contrast": Corruption(
        functions.contrast,
        ((0.75,), (0.5,), (0.4,), (0.3,), (0.15,)),
        ((0.4,), (0.3,), (0.2,), (0.1,), (0.05,)),
    ),
    "elastic_transform": Corruption(
        functions.elastic_transform,
        (
            (0, 0, 0.08),
            (0.05, 0.2, 0.07),
            (0.08, 0.06, 0.06),
            (0.1, 0.04, 0.05),
            (0.1, 0.03, 0.03),
        ),
        (
            (_ELASTIC * 2, _ELASTIC * 0.7, _ELASTIC * 0.1),
            (_ELASTIC * 2, _ELASTIC * 0.08, _ELASTIC * 0.2),
            (_ELASTIC * 0.05, _ELASTIC * 0.01, _ELASTIC * 0.02),
            (_ELASTIC * 0.07, _ELASTIC * 0.01, _ELASTIC * 0.02),
            (_ELASTIC * 0.12, _ELASTIC * 0.01, _ELASTIC * 0.02),
        ),
    ),
    "pixelate": Corruption(
        functions.pixelate,
        ((0.95,), (0.9,), (0.85,), (0.75,), (0.65,)),
        ((0.6,), (0.5,), (0.4,), (0.3,), (0.25,)),
    ),
    "jpeg_compression": Corruption(
        functions.jpeg_compression,
        ((80,), (65,), (58,), (50,), (40,)),
        ((25,), (18,), (15,), (10,), (7,)),
    ),
}


def corrupt(
    images: Any,
    name: str,
    severity: int,
    seed: int = 0,
    *,
    first: int = 0,
    chunk_size: int = 64,
) -> np.ndarray:
    """Corrupts images as the benchmarks CIFAR-10-C and ImageNet-C do.

    The constants are the published ones: those of CIFAR-10-C (made for 32 pixels)
    if the shorter side is below 85 pixels, else those of ImageNet-C (224 pixels).
    Lengths that the authors give as shares of the side follow the size of the image.
    The functions are this package's own, on SciPy and Pillow, since the libraries
    that carry them start at 32 pixels, know the constants of ImageNet-C alone, and
    draw from NumPy's global random state. One differs from the authors': `frost`
    lays fractal noise over the image, with the mean colours, the contrast and the
    spectrum of their photographs, which are not part of this package.

    Args:
        images: `(N, H, W, C)` in [0, 255], uint8 or float, one or three channels,
            sides of at least 8. Float values are rounded first.
        name: One of `CORRUPTIONS`.
        severity: 1 (weakest) to 5.
        seed: Non-negative. With it and its place in `images` an image's random
            draws are fixed, whatever the other images are.
        first: The place of the first of them, from 0 on, where they are a part of
            `images` that others came before.
        chunk_size: Images corrupted at once, at least 1. It bounds the working memory:
            of 64 images of 224 x 224 x 3 each copy takes 80 MB.

    Returns:
        The shape and dtype of `images`; whole numbers in [0, 255], as a file of
        8-bit pixels would hold them.

    Raises:
        ValueError: An unknown name or severity, a negative seed or place, an empty
            chunk, or images of another shape or range.

    Example:
        >>> foggy = corrupt(x_test, "fog", severity=3)
    """
    if name not in PUBLISHED:
        raise ValueError(
            f"`name` must be one of {', '.join(CORRUPTIONS)}. Received: name={name!r}."
        )
    if severity not in SEVERITIES:
        raise ValueError(
            f"`severity` must be one of {SEVERITIES}. Received: severity={severity!r}."
        )
    check_integers(0, seed=seed, first=first)
    check_integers(1, chunk_size=chunk_size)
    pixels, dtype = whole_pixels(images)
    function, small, large = PUBLISHED[name]
    constants = small if min(pixels.shape[1:3]) < _SMALL_BELOW else large
    corrupted = np.empty(pixels.shape, dtype)
    for start in range(0, len(pixels), chunk_size):
        chunk = pixels[start : start + chunk_size] / 255
        generators = [
            np.random.default_rng([seed, first + start + place])
            for place in range(len(chunk))
        ]
        chunk = function(chunk, generators, *constants[severity - 1])
        corrupted[start : start + chunk_size] = np.rint(255 * np.clip(chunk, 0, 1))
    return corrupted


def whole_pixels(images: Any) -> tuple[np.ndarray, np.dtype]:
    """The pixels that `corrupt` begins with.

    Args:
        images: As it takes them.

    Returns:
        `images` as uint8, and the dtype that they had.

    Raises:
        ValueError: Images of another shape or range.
    """
    images = as_array(images)
    shape = images.shape
    if images.ndim != 4 or shape[3] not in (1, 3) or min(shape[1:3]) < _LEAST_SIDE:
        raise ValueError(
            "`images` must have the shape (N, H, W, 1) or (N, H, W, 3), sides of at "
            f"least {_LEAST_SIDE}. Received: shape {shape}."
        )
    if images.dtype == np.uint8:
        return images, images.dtype
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            f"`images` must be uint8 or float. Received: dtype {images.dtype}."
        )
    pixels = np.rint(images)
    # The comparison is false for NaN too.
    if not np.all((pixels >= 0) & (pixels <= 255)):
        raise ValueError(
            "`images` must lie in [0, 255]. Received: values from "
            f"{images.min()} to {images.max()}."
        )
    if images.size and images.max() <= 1 and np.any(pixels != images):
        raise ValueError(
            "`images` must lie in [0, 255]. Received: fractions of at most "
            f"{images.max()}; multiply them by 255."
        )
    return pixels.astype("uint8"), images.dtype
