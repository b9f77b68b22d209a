"""Crop, flip, resize and blur as one matrix per image and axis; rotation and the like.

Each of the first four mixes pixels along rows and along columns separately, so
a view of an image `x` is `R x Cᵀ` with a row matrix `R` and a column matrix `C`,
and doing one after the other multiplies the matrices. The images themselves are
read once, by two batched matrix products, whatever is done to them. Rotation does
not separate like this: it looks its pixels up.
"""

import math
from typing import Any

import numpy as np
from keras import ops


def resize_matrix(
    start: Any, extent: Any, size: int, source_size: Any, flip: Any = None
) -> Any:
    """Matrices that resample one axis of an image, bilinear and antialiased.

    Row `o` holds the weights of the source pixels in output pixel `o`: a triangle
    around the output pixel's centre, one source pixel wide on each side, or one
    output pixel where the axis shrinks.

    An output pixel whose centre lies beyond the image shows the edge, as the output
    pixel does whose centre is the edge's.

    Args:
        start: `(...)`, where the crop begins, in source pixels, 0 the outer edge
            of the first pixel; negative where it begins before the image.
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
    position = ops.clip(position, 0.0, ops.cast(source_size, "float32") - 1.0)
    weight = _triangles(position, extent / size, source_size)
    return weight / ops.sum(weight, axis=-1, keepdims=True)


def pad_matrix(start: Any, extent: Any, size: int, source_size: Any) -> Any:
    """The same for what reaches beyond the image, where nothing is.

    Args:
        start: `(...)`, as for `resize_matrix`, and negative where it begins before the
            image.
        extent: `(...)`, the length in source pixels, positive.
        size: int, output pixels.
        source_size: int, source pixels.

    Returns:
        `(..., size, source_size)` float32; a row sums to 1, or to 0 where the output
        pixel's centre lies beyond the image.
    """
    centre = (ops.arange(size, dtype="float32") + 0.5) / size
    start, extent = start[..., None], extent[..., None]
    position = start + centre * extent - 0.5
    weight = _triangles(position, extent / size, source_size)
    middle = (ops.cast(source_size, "float32") - 1.0) / 2
    inside = ops.abs(position - middle) < middle + 0.5
    total = ops.sum(weight, axis=-1, keepdims=True)
    # Half a pixel from a source pixel's centre, no total is less than 1/2.
    return ops.where(inside[..., None], weight / ops.maximum(total, 0.5), 0.0)


def _triangles(position: Any, width: Any, source_size: Any) -> Any:
    """Weights of source pixels around positions `(..., n)`, at least a pixel wide."""
    width = ops.maximum(width, 1.0)
    pixel = ops.arange(source_size, dtype="float32")
    # In units of the triangle's width, before there is a number for each pair.
    distance = (position / width)[..., None] - ops.expand_dims(pixel / width, -2)
    return ops.relu(1.0 - ops.abs(distance))


def bicubic_matrix(start: Any, extent: Any, size: int, source_size: Any) -> Any:
    """Matrices that cut an axis of an image and resize what is left, bicubic.

    As `tf.image.resize` of a crop: Keys' cubic with a = -1/2 through the four pixels
    that are nearest, whether the axis grows or shrinks (nothing is antialiased); what
    lies beyond the crop does not count.

    Args:
        start: `(...)`, the crop's first pixel.
        extent: `(...)`, its length in pixels, whole and positive.
        size: int, output pixels.
        source_size: int, source pixels.

    Returns:
        `(..., size, source_size)` float32; every row sums to 1. Weights are negative
        where the cubic is: what is resampled may overshoot.
    """
    centre = (ops.arange(size, dtype="float32") + 0.5) / size
    start, extent = start[..., None], extent[..., None]
    position = start + centre * extent - 0.5
    pixel = ops.arange(source_size, dtype="float32")
    x = ops.abs(position[..., None] - pixel)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    weight = ops.where(x < 1.0, near, ops.where(x < 2.0, far, 0.0))
    inside = ops.logical_and(pixel >= start, pixel < start + extent)
    weight = ops.where(inside[..., None, :], weight, 0.0)
    return weight / ops.sum(weight, axis=-1, keepdims=True)


def blur_matrix(sigma: Any, size: int, radius: int) -> Any:
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


def blur_radius(size: int) -> int:
    """Reach of the blur's kernel, whose width is a tenth of the image."""
    return max(1, round(size / 20))


def random_boxes(
    u: Any,
    height: Any,
    width: Any,
    area: Any,
    aspect_ratio: Any,
    shift: float = 0.0,
) -> tuple[Any, Any, Any, Any]:
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
        shift: float, by which share of the image's side a box may reach beyond it, on
            each side; with one the place is a whole number of pixels.

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
    top = (1.0 - box_height + 2.0 * shift) * u[..., 2] - shift
    left = (1.0 - box_width + 2.0 * shift) * u[..., 3] - shift
    top, left = top * height, left * width
    if shift:
        # Between pixels an image would be blurred, which no image to predict is.
        top, left = ops.round(top), ops.round(left)
    return top, left, box_height * height, box_width * width


def resample(images: Any, rows: Any, columns: Any) -> Any:
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


def rotate_and_shear(images: Any, angle: Any, shear: Any) -> Any:
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
    cosine, sine = ops.cos(angle), ops.sin(angle)
    return warp(
        images,
        across=(cosine + shear * sine, shear * cosine - sine, 0.0),
        down=(sine, cosine, 0.0),
    )


def warp(
    images: Any,
    across: tuple[Any, Any, Any],
    down: tuple[Any, Any, Any],
    fill: float | None = None,
) -> Any:
    """Shows in each pixel what lies where an affine map sends it, bilinear.

    The pixel in column `x` and row `y`, counted from the centre, shows what is in
    column `across[0] x + across[1] y + across[2]` and row `down[0] x + down[1] y +
    down[2]`.

    Args:
        images: `(..., C, h, w)`, channels first.
        across: three of `(...)` or float, of columns; the last one in pixels.
        down: the same of rows.
        fill: float, what comes from beyond the edge; or None, the pixel at the edge.

    Returns:
        `(..., C, h, w)` float32.
    """
    height, width = images.shape[-2:]
    if None not in images.shape and math.prod(images.shape) >= 2**31:
        raise ValueError(
            "Rotated, sheared and shifted views must have fewer than 2^31 pixels in "
            "all, which are counted in int32. Received: images.shape="
            f"{tuple(images.shape)}. Make the batch smaller, or leave these changes "
            "out: `rotation` and `shear` 0, or `operations` without them."
        )
    x = ops.convert_to_tensor(np.arange(width) - (width - 1) / 2, "float32")
    y = ops.convert_to_tensor(np.arange(height) - (height - 1) / 2, "float32")

    def source(of: tuple[Any, Any, Any], size: int) -> tuple[Any, Any, Any]:
        """Where pixels come from, on one axis: the one before, the next one's share,
        and whether that lies within the image."""
        of_x, of_y, shift = (
            part if isinstance(part, float) else part[..., None] for part in of
        )
        centred = (of_x * x)[..., None, :] + (of_y * y + shift)[..., None]
        wanted = centred + (size - 1) / 2
        position = ops.clip(wanted, 0.0, size - 1.0)
        before = ops.floor(position)
        return before, position - before, ops.abs(wanted - position) <= 0.5

    left, from_right, in_columns = source(across, width)
    above, from_below, in_rows = source(down, height)

    # All pixels of all views in a row, and again from the one to the right on, from the
    # one below on, and from the one below to the right on: one look-up in all four.
    # What follows the last pixel of a row or of a view has no share.
    shape = ops.shape(images)
    count = math.prod(shape)
    row = ops.pad(ops.reshape(images, (-1,)), (0, width + 1))
    rows = ops.stack([row[start : start + count] for start in (0, 1, width, width + 1)])
    first = ops.arange(count // (height * width), dtype="int32") * (height * width)
    place = ops.cast(above * width + left, "int32")[..., None, :, :]
    place = place + ops.reshape(first, (*shape[:-2], 1, 1))
    here, right, below, diagonal = ops.unstack(ops.take(rows, place, axis=1))
    from_right, from_below = from_right[..., None, :, :], from_below[..., None, :, :]
    upper = here + from_right * (right - here)
    lower = below + from_right * (diagonal - below)
    warped = upper + from_below * (lower - upper)
    if fill is None:
        return warped
    return ops.where((in_columns & in_rows)[..., None, :, :], warped, fill)


def sharpen(images: Any, factor: Any) -> Any:
    """Moves each pixel away from the mean of those around it, or towards it.

    As Pillow's `ImageEnhance.Sharpness`: the mean counts the pixel five times, and the
    pixels at the edge stay as they are.

    Args:
        images: `(..., C, h, w)`, channels first.
        factor: `(...)`, 1 for none, 0 for the mean.

    Returns:
        `(..., C, h, w)`; not clipped.
    """
    if min(images.shape[-2:]) < 3:
        return images
    inner = images[..., 1:-1, 1:-1]
    three = images[..., :-2] + images[..., 1:-1] + images[..., 2:]
    nine = three[..., :-2, :] + three[..., 1:-1, :] + three[..., 2:, :]
    detail = (9.0 * inner - nine) / 13.0
    edges = [(0, 0)] * (len(images.shape) - 2) + [(1, 1), (1, 1)]
    return images + (factor - 1.0)[..., None, None, None] * ops.pad(detail, edges)
