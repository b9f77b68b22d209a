"""Crop, flip, resize and blur as one matrix per image and axis; rotation and shear.

Each of the first four mixes pixels along rows and along columns separately, so
a view of an image `x` is `R x Cᵀ` with a row matrix `R` and a column matrix `C`,
and doing one after the other multiplies the matrices. The images themselves are
read once, by two batched matrix products, whatever is done to them. Rotation does
not separate like this: it looks its pixels up.
"""

import math

import numpy as np
from keras import ops


def resize_matrix(start, extent, size, source_size, flip=None):
    """Matrices that resample one axis of an image, bilinear and antialiased.

    Row `o` holds the weights of the source pixels in output pixel `o`: a triangle
    around the output pixel's centre, one source pixel wide on each side, or one
    output pixel where the axis shrinks.

    Args:
        start: `(...)`, where the crop begins, in source pixels, 0 the outer edge
            of the first pixel.
        extent: `(...)`, the crop's length in source pixels, positive.
        size: int, output pixels.
        source_size: int, source pixels.
        flip: `(...)` boolean, or None: reverse the output.

    Returns:
        `(..., size, source_size)` float32; every row sums to 1.
    """
    centre = (ops.arange(size, dtype="float32") + 0.5) / size
    start, extent = start[..., None], extent[..., None]
    if flip is not None:
        centre = ops.where(flip[..., None], 1.0 - centre, centre)
    position = start + centre * extent - 0.5
    width = ops.maximum(extent / size, 1.0)
    pixel = ops.arange(source_size, dtype="float32")
    # In units of the triangle's width, before there is a number for each pair.
    distance = (position / width)[..., None] - (pixel / width)[..., None, :]
    weight = ops.relu(1.0 - ops.abs(distance))
    return weight / ops.sum(weight, axis=-1, keepdims=True)


def blur_matrix(sigma, size, radius):
    """Matrices that blur one axis with a truncated Gaussian.

    Weights beyond the image's edge are given to the pixels inside it.

    Args:
        sigma: `(...)` float, standard deviation in pixels; 0 leaves the axis as
            it is.
        size: int, pixels along the axis.
        radius: int, the kernel reaches this many pixels to each side.

    Returns:
        `(..., size, size)` float32; every row sums to 1.
    """
    # 1e-3 stands for 0: its neighbours' weight underflows to exactly 0.
    sigma = ops.maximum(sigma, 1e-3)[..., None]
    distance = ops.arange(radius + 1, dtype="float32")
    kernel = ops.exp(-0.5 * ops.square(distance / sigma))
    # Each of the kernel's weights goes to the pairs of pixels at its distance.
    pixel = np.arange(size)
    pairs = np.abs(pixel[:, None] - pixel) == np.arange(radius + 1)[:, None, None]
    pairs = ops.convert_to_tensor(pairs.reshape(radius + 1, -1), "float32")
    weight = ops.matmul(ops.reshape(kernel, (-1, radius + 1)), pairs)
    weight = ops.reshape(weight, (*ops.shape(kernel)[:-1], size, size))
    return weight / ops.sum(weight, axis=-1, keepdims=True)


def blur_radius(size):
    """Reach of the blur's kernel, whose width is a tenth of the image."""
    return max(1, round(size / 20))


def random_boxes(u, height, width, area, aspect_ratio):
    """Crop boxes of uniform area and log-uniform aspect ratio at a uniform place.

    The aspect ratio is drawn among those at which a box of the drawn area fits
    the image, so that no draw has to be repeated or cut (Inception's crop
    rejects misfits instead).

    Args:
        u: `(..., 4)` uniform draws in [0, 1).
        height: int, pixels of the image.
        width: int, pixels of the image.
        area: `(..., 2)` in (0, 1], the range of the share of the image.
        aspect_ratio: pair of positive floats, the range of width / height.

    Returns:
        top, left, box height, box width: each `(...)`, in pixels.
    """
    share = area[..., 0] + (area[..., 1] - area[..., 0]) * u[..., 0]
    # Width over height in shares of the image: both must stay below 1.
    shape = height / width
    room = -ops.log(share)
    low, high = (
        ops.maximum(ops.minimum(room, math.log(bound * shape)), -room)
        for bound in aspect_ratio
    )
    ratio = ops.exp(low + (high - low) * u[..., 1])
    box_height = ops.minimum(ops.sqrt(share / ratio), 1.0)
    box_width = ops.minimum(ops.sqrt(share * ratio), 1.0)
    top = (1.0 - box_height) * u[..., 2]
    left = (1.0 - box_width) * u[..., 3]
    return top * height, left * width, box_height * height, box_width * width


def resample(images, rows, columns):
    """`R x Cᵀ` for every channel of every view.

    Args:
        images: `(B, C, H, W)`, channels first.
        rows: `(B, V, h, H)`.
        columns: `(B, V, w, W)`.

    Returns:
        `(B, V, C, h, w)`: channels first, so that pixels lie together for the
        products here and in `color`.
    """
    channels = images.shape[1]
    source_height, source_width = ops.shape(images)[2:]
    views, height = rows.shape[1:3]
    width = columns.shape[2]
    flat = ops.reshape(images, (-1, 1, channels * source_height, source_width))
    x = ops.matmul(flat, ops.swapaxes(columns, -1, -2))
    x = ops.reshape(x, (-1, views, channels, source_height, width))
    x = ops.matmul(rows[:, :, None], x)
    return ops.reshape(x, (-1, views, channels, height, width))


def rotate_and_shear(images, angle, shear):
    """Rotates and shears views about their centre, bilinear.

    What comes from beyond the edge repeats the pixel at the edge.

    Args:
        images: `(..., C, h, w)`, channels first.
        angle: `(...)` in radians, counter-clockwise.
        shear: `(...)`, by how many pixels a row moves to the left for each row that
            it lies below the centre, before the rotation.

    Returns:
        `(..., C, h, w)` float32.
    """
    height, width = images.shape[-2:]
    y, x = np.mgrid[:height, :width].reshape(2, -1).astype("float32")
    y = ops.convert_to_tensor(y - (height - 1) / 2)
    x = ops.convert_to_tensor(x - (width - 1) / 2)
    angle, shear = angle[..., None], shear[..., None]
    cosine, sine = ops.cos(angle), ops.sin(angle)
    # From output pixels back to where they come from.
    x, y = cosine * x - sine * y, sine * x + cosine * y
    left, from_right = _pixel_before(x + shear * y, width)
    above, from_below = _pixel_before(y, height)

    # What a pixel is mixed from lies together, so that it is looked up at once: the
    # pixel at each place, and those to the right, below, and below to the right.
    pixels = ops.swapaxes(ops.swapaxes(images, -3, -2), -2, -1)
    pixels = ops.concatenate([pixels, _next(pixels, axis=-2)], axis=-1)
    pixels = ops.concatenate([pixels, _next(pixels, axis=-3)], axis=-1)
    *leading, channels, _, _ = ops.shape(images)
    pixels = ops.reshape(pixels, (-1, 4 * channels))
    place = ops.cast(above * width + left, "int32")
    first = ops.arange(math.prod(leading), dtype="int32") * (height * width)
    place = place + ops.reshape(first, (*leading, 1))
    around = ops.take(pixels, place, axis=0)
    upper, lower = ops.split(around, 2, axis=-1)
    around = upper + from_below[..., None] * (lower - upper)
    left, right = ops.split(around, 2, axis=-1)
    mixed = left + from_right[..., None] * (right - left)
    return ops.reshape(ops.swapaxes(mixed, -2, -1), ops.shape(images))


def _next(pixels, axis):
    """The pixels' neighbours along an axis, those at its end their own."""
    size = pixels.shape[axis]
    along = [slice(None)] * len(pixels.shape)
    along[axis] = slice(1, None)
    last = list(along)
    last[axis] = slice(size - 1, None)
    return ops.concatenate([pixels[tuple(along)], pixels[tuple(last)]], axis=axis)


def _pixel_before(offset, size):
    """The pixel before a place on an axis, and the share of the one after it.

    Args:
        offset: `(...)`, the place, in pixels from the axis' middle.
        size: int, pixels along the axis.
    """
    position = ops.clip(offset + (size - 1) / 2, 0.0, size - 1.0)
    before = ops.floor(position)
    return before, position - before
