"""What images and labels have to be, checked where they come in."""

import collections.abc
import dataclasses
from typing import Any

import numpy as np

from semppl_keras.data.images.streamed_images import StreamedImages

# Images with a value of this size are not scaled to [0, 1]: resizing with cubic splines
# leads but a little beyond 1.
BRIGHT = 2

# How far the probabilities of an image may be from a sum of 1: those of half precision
# are not much nearer.
SUM_TOLERANCE = 1e-3

# So many images without a bright one among them are no accident.
_DARK_IMAGES = 8


@dataclasses.dataclass(frozen=True)
class ImageSpec:
    """What the model takes.

    Args:
        num_classes: int, labels are 0 .. num_classes - 1; None where labels are of no
            use and left out.
        channels: tuple of the numbers of channels that fit the backbone.
        min_size: int, least height and width in pixels.
        value_range: pair, lowest and highest value of the images; None for any.
        one_size: bool, whether all batches of a dataset must be of one size.
        weighted: bool, whether each image may come with a weight of its loss.
        cached: bool, whether it takes features `(N, views, ..., channels)` that are
            kept of views of each image, in place of images.
        soft_labels: bool, whether labels that are required may be probabilities, see
            `check_targets`.
    """

    num_classes: int | None
    channels: tuple[int, ...]
    min_size: int = 1
    value_range: tuple[float, float] | None = None
    one_size: bool = True
    weighted: bool = False
    cached: bool = False
    soft_labels: bool = False


class StreamBrightness:
    """Whether what a stream yields batch after batch is scaled to [0, 1].

    One dark photograph among others is none of the user's mistakes, and neither black
    images nor a bright first batch tell anything of those that follow. So a batch of
    several images with fractions is judged by itself, and the dark images before the
    first bright one are counted.
    """

    def __init__(self) -> None:
        self.bright = False
        self.dark_images = 0

    def refuses(self, images: np.ndarray, magnitude: float) -> bool:
        """Whether a batch shows that the images are scaled to [0, 1].

        Args:
            images: array `(B, H, W, C)`.
            magnitude: the largest absolute value among them.
        """
        if magnitude >= BRIGHT:
            self.bright = True
        if magnitude >= BRIGHT or magnitude == 0:
            return False
        lit = int(images.any(axis=(1, 2, 3)).sum())
        if lit > 1 and images.dtype.kind == "f" and np.any(images != np.rint(images)):
            return True
        self.dark_images += lit
        return not self.bright and self.dark_images >= _DARK_IMAGES


def check_images(
    name: str, images: Any, spec: ImageSpec, stream: StreamBrightness | None = None
) -> Any:
    """Checks a batch or a whole set of images; returns it as a NumPy array.

    Args:
        name: str, the argument to name in an error.
        images: array `(N, H, W, C)`; `StreamedImages`, which stay what they are.
        spec: `ImageSpec`.
        stream: `StreamBrightness` of the batches before this one; None where the
            images are a whole set.

    Raises:
        ValueError: if rank, channels, size or dtype do not fit, a value is NaN,
            infinite or out of range, or the images are in [0, 1] where the range is
            wide.
    """
    streamed = isinstance(images, StreamedImages)
    if not streamed:
        images = to_numpy(images)
    check_image_shape(name, images.shape, images.dtype, spec)
    if streamed:
        if spec.value_range:
            check_value_range(name, 0, 255, spec.value_range, of_views=True)
        return images
    is_float = images.dtype.kind == "f"
    if not len(images) or not (is_float or spec.value_range):
        return images
    # NaN is the lowest and the highest value of what holds it.
    low, high = images.min(), images.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        number = next(n for n, x in enumerate(images) if not np.isfinite(x).all())
        raise ValueError(
            f"`{name}` must hold finite images. Received: NaN or infinite values, "
            f"first in image {number}."
        )
    if spec.value_range:
        check_value_range(name, low, high, spec.value_range, of_views=True)
        if is_wide(spec.value_range) and (
            stream is None or stream.refuses(images, magnitude_of(low, high))
        ):
            check_not_unit_range(name, low, high, spec.value_range, of_views=True)
    return images


def check_value_range(
    name: str,
    low: Any,
    high: Any,
    value_range: tuple[float, float],
    of_views: bool = False,
) -> None:
    """Raises a ValueError for values from `low` to `high` outside of a range."""
    least, most = passed_range(value_range)
    # NaN fails every comparison, so ask for the good case.
    if not (low >= least and high <= most):
        raise ValueError(
            f"{_range_wanted(name, value_range, of_views)} Received: values from {low} "
            f"to {high}."
        )


def check_not_unit_range(
    name: str,
    low: Any,
    high: Any,
    value_range: tuple[float, float],
    of_views: bool = False,
) -> None:
    """Raises a ValueError for values in [0, 1], masks of 0 and 1 among them, or in
    [-1, 1], where the range is wide; black images pass."""
    if is_wide(value_range) and 0 < magnitude_of(low, high) < BRIGHT:
        least, most = value_range
        if least == 0:
            looks, remedy = "[0, 1]", f"multiply by {most:g}"
        else:
            looks, remedy = "[-1, 1]", f"scale them to [{least}, {most}]"
        if of_views:
            remedy += ", or choose `views` with value_range=" + (
                "(0, 1)" if low >= 0 else "(-1, 1)"
            )
        raise ValueError(
            f"{_range_wanted(name, value_range, of_views)} Received: values from {low} "
            f"to {high}, which looks like {looks}: {remedy}."
        )


def is_wide(value_range: tuple[float, float]) -> bool:
    """Whether images in [0, 1] would be next to black in a range."""
    low, high = value_range
    return high - low >= 255


def magnitude_of(low: Any, high: Any) -> float:
    """The largest absolute value of images from `low` to `high`."""
    # As Python's numbers, of which the lowest int8 has a negative, too.
    return max(abs(low.item()), abs(high.item()))


def passed_range(value_range: tuple[float, float]) -> tuple[float, float]:
    """The range, and a little on both sides: resizing rounds a last digit."""
    low, high = value_range
    return low - 1e-4 * (high - low), high + 1e-4 * (high - low)


def _range_wanted(name: str, value_range: tuple[float, float], of_views: bool) -> str:
    low, high = value_range
    whose = ", the `value_range` of the views" if of_views else ""
    return f"`{name}` must lie in [{low}, {high}]{whose}."


def check_image_shape(
    name: str, shape: collections.abc.Iterable[Any], dtype: Any, spec: ImageSpec
) -> None:
    """Checks the shape `(N, H, W, C)` and dtype of images; None is any size."""
    shape = tuple(shape)
    if spec.cached:
        _check_cached_shape(name, shape, dtype, spec)
        return
    if len(shape) != 4:
        raise ValueError(
            f"`{name}` must hold images (height, width, channels), a batch of them "
            f"having rank 4. Received: shape {shape}."
            + _missing_axis(shape, spec.channels)
        )
    if shape[-1] not in spec.channels:
        wanted = " or ".join(str(channels) for channels in spec.channels)
        hint = ""
        if shape[1] in spec.channels:
            hint = " Channels come last: transpose the images."
        raise ValueError(
            f"`{name}` must hold images with {wanted} channel(s), as the backbone "
            f"takes them. Received: shape {shape}.{hint}"
        )
    if np.dtype(dtype).kind not in "uif":
        raise ValueError(
            f"`{name}` must hold images of numbers, uint8 or float in the "
            f"`value_range` of the views. Received: dtype {np.dtype(dtype)}."
        )
    if any(side is not None and side < spec.min_size for side in shape[1:3]):
        raise ValueError(
            f"`{name}` holds images of {shape[1]} x {shape[2]} pixels, smaller than "
            f"the smallest views ({spec.min_size} pixels). Enlarge the images, or "
            "choose `views` of smaller sizes."
        )


def _missing_axis(shape: tuple[Any, ...], channels: tuple[int, ...]) -> str:
    """What to do about images of rank 3: one alone, or several without channels."""
    if len(shape) != 3:
        return ""
    if shape[-1] in channels:
        return " Of one image make a batch: image[None]."
    return " Add a channel axis: images[..., None]."


def _check_cached_shape(
    name: str, shape: tuple[Any, ...], dtype: Any, spec: ImageSpec
) -> None:
    if len(shape) < 3 or shape[-1] not in spec.channels or np.dtype(dtype).kind != "f":
        raise ValueError(
            f"`{name}` must hold features that are kept of views of each image, "
            f"floats (images, views, ..., {spec.channels[0]}), as "
            f"networks.cache_features makes them. Received: shape {shape}, dtype "
            f"{np.dtype(dtype)}. (`on_pictures` gives a model that takes images.)"
        )


def check_labels(
    name: str, labels: Any, num_classes: int, unknown_allowed: bool = False
) -> np.ndarray:
    """Checks class labels; returns them as `(N,)` int32.

    Integers in [0, num_classes) are taken, as `(N,)` or `(N, 1)`, whole floats as
    `(N, 1)`, the `label_mode="binary"` of Keras, and one-hot rows `(N, num_classes)`
    with num_classes > 1, each of a single 1 among 0s, which nothing else can be
    mistaken for.

    Args:
        name: str, the argument to name in an error.
        labels: array.
        num_classes: int.
        unknown_allowed: bool, whether -1 stands for an unknown label.

    Raises:
        ValueError: for anything else.
    """
    labels = to_numpy(labels)
    wanted = _labels_wanted(num_classes)
    if unknown_allowed:
        wanted += " (-1 where unknown)"
    if labels.ndim == 2 and labels.shape[1] == num_classes > 1:
        one_hot = np.isin(labels, (0, 1)).all(axis=1) & (labels.sum(axis=1) == 1)
        if not one_hot.all():
            raise ValueError(
                f"`{name}` must hold {wanted}, or one-hot rows. Received: rows of "
                f"{num_classes} values that are not one-hot, such as "
                f"{labels[~one_hot][0].tolist()}."
            )
        return labels.argmax(axis=1).astype("int32")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
        if labels.dtype.kind == "f" and np.array_equal(labels, np.rint(labels)):
            labels = labels.astype("int64")
    if labels.ndim != 1:
        raise ValueError(
            f"`{name}` must hold {wanted}, one per image. Received: labels of shape "
            f"{labels.shape} with num_classes={num_classes}."
        )
    if labels.dtype.kind not in "ui":
        raise ValueError(
            f"`{name}` must hold {wanted}. Received: labels of dtype {labels.dtype}. "
            f"{_as_integers(labels)}"
        )
    low, high = (int(labels.min()), int(labels.max())) if len(labels) else (0, 0)
    if low < (-1 if unknown_allowed else 0) or high >= num_classes:
        leave_out = low == -1 and not unknown_allowed
        raise ValueError(
            f"`{name}` must hold {wanted}. Received: labels from {low} to {high} with "
            f"num_classes={num_classes}."
            + (" Where -1 is unknown, leave the image out." if leave_out else "")
        )
    return labels.astype("int32")


def _as_integers(labels: np.ndarray) -> str:
    """What to do about labels of another type."""
    if labels.dtype.kind in "USO":
        return "Number them: names, labels = numpy.unique(labels, return_inverse=True)."
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        return "NaN is no class: leave out the images that have none."
    return 'If they are whole numbers, cast them: labels.astype("int32").'


def check_targets(name: str, labels: Any, num_classes: int) -> np.ndarray:
    """Checks what images are to be taken for: labels, or probabilities of the classes.

    Args:
        name: str, the argument to name in an error.
        labels: array; as in `check_labels`, or floats `(N, num_classes)`, rows that are
            at least 0 and of sum 1.
        num_classes: int.

    Returns:
        `(N,)` int32, or `(N, num_classes)` float32 of floats: what follows from the
        dtype is the same for all batches of a dataset.

    Raises:
        ValueError: for anything else.
    """
    labels = to_numpy(labels)
    if labels.ndim != 2 or labels.shape[1] != num_classes or labels.dtype.kind != "f":
        return check_labels(name, labels, num_classes)
    # NaN fails every comparison, so ask for the good case.
    sums = labels.sum(axis=1, dtype="float64")
    good = (labels >= 0).all(axis=1) & (np.abs(sums - 1) <= SUM_TOLERANCE)
    if not good.all():
        raise ValueError(
            f"`{name}` must hold {_labels_wanted(num_classes)}, or rows of "
            f"{num_classes} probabilities: at least 0, and of sum 1 (up to "
            f"{SUM_TOLERANCE:g}). Received: {labels[~good][0].tolist()}, of sum "
            f"{sums[~good][0]:.4g}, in row {np.flatnonzero(~good)[0]}."
        )
    return labels.astype("float32")


def classes_of(labels: np.ndarray) -> np.ndarray:
    """The class `(N,)` of each label, the likeliest of probabilities."""
    return labels if labels.ndim == 1 else labels.argmax(axis=1).astype("int32")


def check_weights(name: str, weights: Any, count: int) -> np.ndarray:
    """Checks what each image's loss is multiplied by; returns it as `(N,)` float32.

    Args:
        name: str, the argument to name in an error.
        weights: array `(N,)` or `(N, 1)` of numbers that are not negative.
        count: int, the number of images.

    Raises:
        ValueError: for anything else.
    """
    weights = to_numpy(weights)
    wanted = f"`{name}` must hold one weight, at least 0 and finite, for each image."
    if weights.ndim == 2 and weights.shape[1] == 1:
        weights = weights[:, 0]
    if weights.shape != (count,) or weights.dtype.kind not in "uifb":
        raise ValueError(
            f"{wanted} Received: weights of shape {weights.shape} and dtype "
            f"{weights.dtype} for {count} images."
        )
    weights = weights.astype("float32")
    good = np.isfinite(weights) & (weights >= 0)
    if not good.all():
        raise ValueError(f"{wanted} Received: {weights[~good][0]}.")
    return weights


def _labels_wanted(num_classes: int) -> str:
    return f"integer labels from 0 to {num_classes - 1}"


def to_numpy(array: Any) -> np.ndarray:
    """A NumPy array of what any framework calls an array or tensor, in the byte order
    of this machine: no backend takes another, in which some files are read."""
    if hasattr(array, "detach"):  # torch: may need a gradient, may be on a device
        array = array.detach().cpu()
    if not isinstance(array, np.ndarray):
        array = np.asarray(array)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array
