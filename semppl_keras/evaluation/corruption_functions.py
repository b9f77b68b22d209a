"""What the common corruptions do to images.

Each of the fifteen takes images `(N, H, W, C)` in [0, 1], one random generator per
image, and the constants of one severity. What it returns may leave [0, 1].
"""

import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Generators = Sequence[np.random.Generator]


def gaussian_noise(
    images: np.ndarray, generators: Generators, deviation: float
) -> np.ndarray:
    """Adds normal noise."""
    noise = [generator.normal(size=images.shape[1:]) for generator in generators]
    return images + deviation * np.stack(noise)


def shot_noise(
    images: np.ndarray, generators: Generators, photons: float
) -> np.ndarray:
    """Counts so many photons at most."""
    counts = [
        generator.poisson(photons * image)
        for image, generator in zip(images, generators, strict=True)
    ]
    return np.stack(counts) / photons


def impulse_noise(
    images: np.ndarray, generators: Generators, share: float
) -> np.ndarray:
    """Blackens or whitens a share of the values."""
    shape = images.shape[1:]
    hit = np.stack([generator.random(shape) for generator in generators]) <= share
    salt = np.stack([generator.random(shape) for generator in generators]) <= 0.5
    return np.where(hit, salt, images)


def defocus_blur(
    images: np.ndarray, generators: Generators, radius: float, alias_sigma: float
) -> np.ndarray:
    """Averages over a smoothed disc."""
    from scipy import ndimage

    # The authors smooth small discs over 3 pixels and large ones over 5; where the
    # grid ends at the disc's edge, the smoothing sees its mirror image.
    taps, reach = (1, 8) if radius <= 8 else (2, radius)
    distances = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    disc = (distances <= radius).astype("float64")
    disc /= disc.sum()
    kernel = ndimage.gaussian_filter(disc, alias_sigma, radius=taps, mode="mirror")
    return ndimage.correlate(images, kernel[None, :, :, None], mode="mirror")


def glass_blur(
    images: np.ndarray, generators: Generators, sigma: float, reach: int, passes: int
) -> np.ndarray:
    """Moves pixels about between two blurs."""
    from scipy import ndimage

    height, width = images.shape[1:3]
    sigmas = (0, sigma, sigma, 0)
    blurred = ndimage.gaussian_filter(images, sigmas, mode="nearest")
    blurred = np.floor(255 * blurred) / 255
    moves = np.stack(
        [
            generator.integers(-reach, reach, size=(passes, height, width, 2))
            for generator in generators
        ],
        axis=-1,
    )
    every = np.arange(len(images))
    for step in range(passes):
        for y in range(height - reach, reach, -1):
            for x in range(width - reach, reach, -1):
                down, right = moves[step, y, x]
                # The paper speaks of shuffling. In the authors' code the exchange of
                # two array views is a copy, and so the published images have it.
                blurred[:, y, x] = blurred[every, y + down, x + right]
    return ndimage.gaussian_filter(blurred, sigmas, mode="nearest")


def motion_blur(
    images: np.ndarray, generators: Generators, radius: int, sigma: float
) -> np.ndarray:
    """Smears each image along a line of its own."""
    return np.stack(
        [
            smear(image, radius, sigma, generator.uniform(-45, 45))
            for image, generator in zip(images, generators, strict=True)
        ]
    )


def zoom_blur(
    images: np.ndarray, generators: Generators, largest: float, step: float
) -> np.ndarray:
    """Averages over enlargements of the middle."""
    factors = np.arange(1, largest, step)
    total = images.copy()
    for factor in factors:
        total += zoom(images, factor)
    return total / (len(factors) + 1)


def snow(
    images: np.ndarray,
    generators: Generators,
    mean: float,
    deviation: float,
    enlarged: float,
    least: float,
    radius: int,
    sigma: float,
    kept: float,
) -> np.ndarray:
    """Whitens, and lays smeared flakes over."""
    height, width = images.shape[1:3]
    layers = [
        generator.normal(mean, deviation, (height, width)) for generator in generators
    ]
    flakes = zoom(np.stack(layers)[..., None], enlarged)
    flakes = np.clip(np.where(flakes < least, 0, flakes), 0, 1)
    flakes = np.stack(
        [
            smear(layer, radius, sigma, generator.uniform(-135, -45))
            for layer, generator in zip(flakes, generators, strict=True)
        ]
    )
    whitened = np.maximum(images, 1.5 * _grey(images) + 0.5)
    # The second layer is the first upside down.
    return kept * images + (1 - kept) * whitened + flakes + flakes[:, ::-1, ::-1]


def frost(
    images: np.ndarray, generators: Generators, kept: float, strength: float
) -> np.ndarray:
    """Lays fractal crystals over."""
    height, width, channels = images.shape[1:]
    layers = []
    for generator in generators:
        # Measured on the authors' photographs, in 8-bit units: the mean of a photograph
        # lies between 114 and 204, crops of it deviate by 23, and the colour is a
        # light blue. This decay gives the slope of their spectrum.
        level = generator.uniform(114, 204)
        crystals = _plasma(max(height, width), 0.75, generator)[:height, :width]
        crystals = (crystals - crystals.mean()) / crystals.std()
        layers.append(level + 23 * crystals)
    tint = np.array([-18, 3, 15] if channels == 3 else [0])
    frost = np.clip(np.stack(layers)[..., None] + tint, 0, 255) / 255
    return kept * images + strength * frost


def fog(
    images: np.ndarray, generators: Generators, strength: float, decay: float
) -> np.ndarray:
    """Lays a fractal cloud over."""
    height, width = images.shape[1:3]
    maps = [_plasma(max(height, width), decay, generator) for generator in generators]
    clouds = np.stack(maps)[:, :height, :width, None]
    # So that the brightest pixel can stay as bright as it was.
    largest = images.max(axis=(1, 2, 3), keepdims=True)
    return (images + strength * clouds) * largest / (largest + strength)


def brightness(images: np.ndarray, generators: Generators, amount: float) -> np.ndarray:
    """Brightens."""
    # In HSV, where hue and saturation stay: all channels grow by one factor.
    value = images.max(axis=3, keepdims=True)
    brighter = np.minimum(value + amount, 1)
    black = value == 0
    return np.where(black, brighter, images * brighter / np.where(black, 1, value))


def contrast(images: np.ndarray, generators: Generators, kept: float) -> np.ndarray:
    """Draws values to the mean of the image."""
    means = images.mean(axis=(1, 2), keepdims=True)
    return means + kept * (images - means)


def elastic_transform(
    images: np.ndarray,
    generators: Generators,
    strength: float,
    sigma: float,
    corner: float,
) -> np.ndarray:
    """Moves corners and, smoothly, pixels."""
    from scipy import ndimage

    height, width = images.shape[1:3]
    side = min(height, width)
    grid = np.mgrid[:height, :width].astype("float64")
    centre, arm = np.array([height // 2, width // 2]), side // 3
    corners = centre + arm * np.array([[1, 1], [-1, 1], [-1, -1]])
    corrupted = []
    for image, generator in zip(images, generators, strict=True):
        # As the authors draw: across before down, here and below.
        moves = generator.uniform(-1, 1, (3, 2))[:, ::-1]
        moved = corners + corner * side * moves
        # Where each pixel comes from: the affine map of the moved corners to the old.
        affine = np.linalg.solve(np.column_stack([moved, np.ones(3)]), corners)
        source = np.einsum("ahw,ab->bhw", grid, affine[:2]) + affine[2][:, None, None]
        image = _sample(image, source, mode="mirror")
        shifts = [
            ndimage.gaussian_filter(
                generator.uniform(-1, 1, (height, width)), sigma * side, truncate=3
            )
            for _ in range(2)
        ]
        source = grid + strength * side * np.stack(shifts[::-1])
        corrupted.append(_sample(image, source, mode="reflect"))
    return np.stack(corrupted)


def pixelate(images: np.ndarray, generators: Generators, share: float) -> np.ndarray:
    """Shrinks and enlarges again."""
    from PIL import Image

    height, width = images.shape[1:3]
    fewer = (int(width * share), int(height * share))

    def shrink_and_grow(image: Any) -> Any:
        image = image.resize(fewer, Image.Resampling.BOX)
        return image.resize((width, height), Image.Resampling.BOX)

    return _with_pillow(images, shrink_and_grow)


def jpeg_compression(
    images: np.ndarray, generators: Generators, quality: int
) -> np.ndarray:
    """Writes and reads a JPEG of so low a quality."""
    from PIL import Image

    def write_and_read(image: Any) -> Any:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _with_pillow(images, write_and_read)


def _with_pillow(images: np.ndarray, function: Callable[[Any], Any]) -> np.ndarray:
    from PIL import Image

    pixels = np.rint(255 * images).astype("uint8")
    # Pillow knows grey images without a channel axis only.
    pixels = pixels[..., 0] if images.shape[3] == 1 else pixels
    changed = [np.asarray(function(Image.fromarray(image))) for image in pixels]
    return np.stack(changed).reshape(images.shape) / 255


def smear(image: np.ndarray, radius: int, sigma: float, degrees: float) -> np.ndarray:
    """ImageMagick's motion blur of `(H, W, C)`: half a Gaussian, along one line."""
    height, width = image.shape[:2]
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights /= weights.sum()
    angle = math.radians(degrees)
    downs = np.ceil(steps * math.sin(angle) - 0.5).astype(int) + 2 * radius
    rights = np.ceil(steps * math.cos(angle) - 0.5).astype(int) + 2 * radius
    border = (2 * radius, 2 * radius)
    padded = np.pad(image, (border, border, (0, 0)), mode="edge")
    smeared = np.zeros_like(image)
    for weight, down, right in zip(weights, downs, rights, strict=True):
        smeared += weight * padded[down : down + height, right : right + width]
    return smeared


def zoom(images: np.ndarray, factor: float) -> np.ndarray:
    """Enlarges the middle of `(N, H, W, C)` to the whole, linearly interpolated."""
    down = _zoom_matrix(images.shape[1], factor)
    right = _zoom_matrix(images.shape[2], factor)
    return np.einsum("ah,nhwc,bw->nabc", down, images, right, optimize=True)


def _zoom_matrix(length: int, factor: float) -> np.ndarray:
    """`(length, length)`: each row weighs the pixels of which a new one is made."""
    from scipy import ndimage

    kept = math.ceil(length / factor)
    first = (length - kept) // 2
    middle = np.eye(length)[first : first + kept]
    enlarged = ndimage.zoom(middle, (factor, 1), order=1)
    surplus = (len(enlarged) - length) // 2
    return enlarged[surplus : surplus + length]


def _sample(image: np.ndarray, source: np.ndarray, mode: str) -> np.ndarray:
    """Linear interpolation of `(H, W, C)` at the positions `(2, H, W)`."""
    from scipy import ndimage

    channels = np.moveaxis(image, -1, 0)
    sampled = [
        ndimage.map_coordinates(channel, source, order=1, mode=mode)
        for channel in channels
    ]
    return np.stack(sampled, axis=-1)


def _plasma(side: int, decay: float, generator: np.random.Generator) -> np.ndarray:
    """A cloud in [0, 1] by diamond-square: a power of two, at least `side`, squared.

    The map wraps around. From each scale to the next the random part is divided by
    `decay`.
    """
    size = 2 ** math.ceil(math.log2(side))
    heights = np.zeros((size, size))
    amplitude = 100.0
    step = size

    def jittered(four: np.ndarray) -> np.ndarray:
        jitter = generator.uniform(-amplitude, amplitude, four.shape)
        return four / 4 + amplitude * jitter

    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        two = corners + np.roll(corners, -1, axis=0)
        centres = jittered(two + np.roll(two, -1, axis=1))
        heights[half::step, half::step] = centres
        above = centres + np.roll(centres, 1, axis=0)
        heights[::step, half::step] = jittered(
            above + corners + np.roll(corners, -1, axis=1)
        )
        beside = centres + np.roll(centres, 1, axis=1)
        heights[half::step, ::step] = jittered(
            beside + corners + np.roll(corners, -1, axis=0)
        )
        step, amplitude = half, amplitude / decay
    heights -= heights.min()
    return heights / heights.max()


def _grey(images: np.ndarray) -> np.ndarray:
    if images.shape[3] == 1:
        return images
    return images @ np.array([[0.299], [0.587], [0.114]])
