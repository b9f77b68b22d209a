"""The common corruptions of Hendrycks & Dietterich (2019), and their errors."""

import io
import math

import keras
import numpy as np

from semppl_keras.evaluation.inputs import as_array, known_rows
from semppl_keras.evaluation.metrics import predicted_classes

SEVERITIES = (1, 2, 3, 4, 5)

# Halfway, by ratio, between the sizes that the two sets of constants were made for.
_SMALL_BELOW = 85
_LEAST_SIDE = 8
# Bounds the working memory: at 224 x 224 x 3 each copy takes 80 MB.
_CHUNK = 64


def corrupt(images, name, severity, seed=0):
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

    Returns:
        The shape and dtype of `images`; whole numbers in [0, 255], as a file of
        8-bit pixels would hold them.

    Raises:
        ValueError: An unknown name or severity, a negative seed, or images of
            another shape or range.

    Example:
        >>> foggy = corrupt(x_test, "fog", severity=3)
    """
    if name not in _CORRUPTIONS:
        raise ValueError(
            f"`name` must be one of {', '.join(CORRUPTIONS)}. Received: name={name!r}."
        )
    if severity not in SEVERITIES:
        raise ValueError(
            f"`severity` must be one of {SEVERITIES}. Received: severity={severity!r}."
        )
    if seed < 0:
        raise ValueError(f"`seed` must not be negative. Received: seed={seed}.")
    pixels, dtype = _as_pixels(images)
    function, small, large = _CORRUPTIONS[name]
    constants = small if min(pixels.shape[1:3]) < _SMALL_BELOW else large
    corrupted = np.empty(pixels.shape, dtype)
    for start in range(0, len(pixels), _CHUNK):
        chunk = pixels[start : start + _CHUNK] / 255
        generators = [
            np.random.default_rng([seed, start + place]) for place in range(len(chunk))
        ]
        chunk = function(chunk, generators, *constants[severity - 1])
        corrupted[start : start + _CHUNK] = np.rint(255 * np.clip(chunk, 0, 1))
    return corrupted


def corruption_errors(
    predict,
    images,
    labels,
    *,
    corruptions=None,
    severities=SEVERITIES,
    seed=0,
    verbose=0,
):
    """Measures the error rate of a classifier under each corruption.

    Args:
        predict: Takes images like `images` to labels `(N,)`, or to scores `(N, C)`
            of which the largest wins; for example `model.predict`.
        images: `(N, H, W, C)` in [0, 255], as for `corrupt`.
        labels: `(N,)` integers; images of label -1 are left out, and told.
        corruptions: Names out of `CORRUPTIONS`. None: all 15.
        severities: Out of 1 to 5.
        seed: As for `corrupt`.
        verbose: 1 shows a progress bar.

    Returns:
        A dict from each name to a list of error rates in [0, 1], in the order of
        `severities`.

    Raises:
        ValueError: As for `corrupt`; labels or predictions that do not fit.

    Example:
        >>> errors = corruption_errors(model.predict, x_test, y_test)
        >>> baseline_errors = corruption_errors(baseline.predict, x_test, y_test)
        >>> mean_corruption_error(errors, baseline_errors)
    """
    images = as_array(images)
    labels, images = known_rows(labels, "labels", images)
    names = CORRUPTIONS if corruptions is None else tuple(corruptions)
    progress = keras.utils.Progbar(len(names) * len(severities), verbose=verbose)
    errors = {name: [] for name in names}
    for name in names:
        for severity in severities:
            predicted = as_array(predict(corrupt(images, name, severity, seed)))
            if predicted.ndim == 2 and len(predicted) == len(labels):
                predicted = predicted_classes(predicted, labels)
            if predicted.shape != labels.shape:
                raise ValueError(
                    "`predict` must return labels (N,) or scores (N, C). Received: "
                    f"shape {predicted.shape} for {len(labels)} images."
                )
            errors[name].append(float(np.mean(predicted != labels)))
            progress.add(1)
    return errors


def mean_corruption_error(errors, baseline_errors):
    """The mean corruption error (mCE) in percent of a baseline's.

    For each corruption the errors are summed over the severities and divided by
    the baseline's sum; mCE is the mean of these ratios (Hendrycks & Dietterich 2019,
    where the baseline is AlexNet). 100 is as good as the baseline, less
    is better.

    Args:
        errors: As `corruption_errors` returns them.
        baseline_errors: The same of the baseline: the same corruptions, each with
            the same number of severities, some error above 0 in each.

    Returns:
        A float, 0 or more.

    Raises:
        ValueError: Other corruptions or severities, or a baseline without errors.

    Example:
        >>> mean_corruption_error({"fog": [0.1, 0.2]}, {"fog": [0.2, 0.4]})
        50.0
    """
    if not errors or set(errors) != set(baseline_errors):
        raise ValueError(
            "`errors` and `baseline_errors` must hold the same corruptions, at least "
            f"one. Received: {sorted(errors)} and {sorted(baseline_errors)}."
        )
    ratios = []
    for name, values in errors.items():
        baseline = baseline_errors[name]
        if len(values) != len(baseline):
            raise ValueError(
                "`errors` and `baseline_errors` must hold the same severities. "
                f"Received for {name}: {len(values)} and {len(baseline)} values."
            )
        if not sum(baseline) > 0:
            raise ValueError(
                "`baseline_errors` must be above 0 somewhere in each corruption. "
                f"Received for {name}: {list(baseline)}."
            )
        ratios.append(sum(values) / sum(baseline))
    return 100 * float(np.mean(ratios))


def _as_pixels(images):
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


# Each function below takes `(N, H, W, C)` in [0, 1], one random generator per image,
# and the constants of one severity. What it returns may leave [0, 1].


def _gaussian_noise(images, generators, deviation):
    noise = [generator.normal(size=images.shape[1:]) for generator in generators]
    return images + deviation * np.stack(noise)


def _shot_noise(images, generators, photons):
    counts = [
        generator.poisson(photons * image)
        for image, generator in zip(images, generators, strict=True)
    ]
    return np.stack(counts) / photons


def _impulse_noise(images, generators, share):
    shape = images.shape[1:]
    hit = np.stack([generator.random(shape) for generator in generators]) <= share
    salt = np.stack([generator.random(shape) for generator in generators]) <= 0.5
    return np.where(hit, salt, images)


def _defocus_blur(images, generators, radius, alias_sigma):
    from scipy import ndimage

    # The authors smooth small discs over 3 pixels and large ones over 5; where the
    # grid ends at the disc's edge, the smoothing sees its mirror image.
    taps, reach = (1, 8) if radius <= 8 else (2, radius)
    distances = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    disc = (distances <= radius).astype("float64")
    disc /= disc.sum()
    kernel = ndimage.gaussian_filter(disc, alias_sigma, radius=taps, mode="mirror")
    return ndimage.correlate(images, kernel[None, :, :, None], mode="mirror")


def _glass_blur(images, generators, sigma, reach, passes):
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


def _motion_blur(images, generators, radius, sigma):
    return np.stack(
        [
            _smear(image, radius, sigma, generator.uniform(-45, 45))
            for image, generator in zip(images, generators, strict=True)
        ]
    )


def _zoom_blur(images, generators, largest, step):
    factors = np.arange(1, largest, step)
    total = images.copy()
    for factor in factors:
        total += _zoom(images, factor)
    return total / (len(factors) + 1)


def _snow(images, generators, mean, deviation, zoom, least, radius, sigma, kept):
    height, width = images.shape[1:3]
    flakes = [
        generator.normal(mean, deviation, (height, width)) for generator in generators
    ]
    flakes = _zoom(np.stack(flakes)[..., None], zoom)
    flakes = np.clip(np.where(flakes < least, 0, flakes), 0, 1)
    flakes = np.stack(
        [
            _smear(layer, radius, sigma, generator.uniform(-135, -45))
            for layer, generator in zip(flakes, generators, strict=True)
        ]
    )
    whitened = np.maximum(images, 1.5 * _grey(images) + 0.5)
    # The second layer is the first upside down.
    return kept * images + (1 - kept) * whitened + flakes + flakes[:, ::-1, ::-1]


def _frost(images, generators, kept, strength):
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


def _fog(images, generators, strength, decay):
    height, width = images.shape[1:3]
    fog = [_plasma(max(height, width), decay, generator) for generator in generators]
    fog = np.stack(fog)[:, :height, :width, None]
    # So that the brightest pixel can stay as bright as it was.
    largest = images.max(axis=(1, 2, 3), keepdims=True)
    return (images + strength * fog) * largest / (largest + strength)


def _brightness(images, generators, amount):
    # In HSV, where hue and saturation stay: all channels grow by one factor.
    value = images.max(axis=3, keepdims=True)
    brighter = np.minimum(value + amount, 1)
    black = value == 0
    return np.where(black, brighter, images * brighter / np.where(black, 1, value))


def _contrast(images, generators, kept):
    means = images.mean(axis=(1, 2), keepdims=True)
    return means + kept * (images - means)


def _elastic_transform(images, generators, strength, sigma, corner):
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


def _pixelate(images, generators, share):
    from PIL import Image

    height, width = images.shape[1:3]
    fewer = (int(width * share), int(height * share))

    def shrink_and_grow(image):
        image = image.resize(fewer, Image.Resampling.BOX)
        return image.resize((width, height), Image.Resampling.BOX)

    return _with_pillow(images, shrink_and_grow)


def _jpeg_compression(images, generators, quality):
    from PIL import Image

    def write_and_read(image):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _with_pillow(images, write_and_read)


def _with_pillow(images, function):
    from PIL import Image

    pixels = np.rint(255 * images).astype("uint8")
    # Pillow knows grey images without a channel axis only.
    pixels = pixels[..., 0] if images.shape[3] == 1 else pixels
    changed = [np.asarray(function(Image.fromarray(image))) for image in pixels]
    return np.stack(changed).reshape(images.shape) / 255


def _smear(image, radius, sigma, degrees):
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


def _zoom(images, factor):
    """Enlarges the middle of `(N, H, W, C)` to the whole, linearly interpolated."""
    down = _zoom_matrix(images.shape[1], factor)
    right = _zoom_matrix(images.shape[2], factor)
    return np.einsum("ah,nhwc,bw->nabc", down, images, right, optimize=True)


def _zoom_matrix(length, factor):
    """`(length, length)`: each row weighs the pixels of which a new one is made."""
    from scipy import ndimage

    kept = math.ceil(length / factor)
    first = (length - kept) // 2
    middle = np.eye(length)[first : first + kept]
    enlarged = ndimage.zoom(middle, (factor, 1), order=1)
    surplus = (len(enlarged) - length) // 2
    return enlarged[surplus : surplus + length]


def _sample(image, source, mode):
    """Linear interpolation of `(H, W, C)` at the positions `(2, H, W)`."""
    from scipy import ndimage

    channels = np.moveaxis(image, -1, 0)
    sampled = [
        ndimage.map_coordinates(channel, source, order=1, mode=mode)
        for channel in channels
    ]
    return np.stack(sampled, axis=-1)


def _plasma(side, decay, generator):
    """A cloud in [0, 1] by diamond-square: a power of two, at least `side`, squared.

    The map wraps around. From each scale to the next the random part is divided by
    `decay`.
    """
    size = 2 ** math.ceil(math.log2(side))
    heights = np.zeros((size, size))
    amplitude = 100.0
    step = size

    def jittered(four):
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


def _grey(images):
    if images.shape[3] == 1:
        return images
    return images @ np.array([[0.299], [0.587], [0.114]])


# The authors' elastic constants are shares of 244, for images of 224 pixels.
_ELASTIC = 244 / 224

# For each: the function, and the constants of severities 1 to 5 that the authors
# published with CIFAR-10-C and with ImageNet-C.
_CORRUPTIONS = {
    "gaussian_noise": (
        _gaussian_noise,
        ((0.04,), (0.06,), (0.08,), (0.09,), (0.10,)),
        ((0.08,), (0.12,), (0.18,), (0.26,), (0.38,)),
    ),
    "shot_noise": (
        _shot_noise,
        ((500,), (250,), (100,), (75,), (50,)),
        ((60,), (25,), (12,), (5,), (3,)),
    ),
    "impulse_noise": (
        _impulse_noise,
        ((0.01,), (0.02,), (0.03,), (0.05,), (0.07,)),
        ((0.03,), (0.06,), (0.09,), (0.17,), (0.27,)),
    ),
    "defocus_blur": (
        _defocus_blur,
        ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
        ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    ),
    "glass_blur": (
        _glass_blur,
        ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
        ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    ),
    "motion_blur": (
        _motion_blur,
        ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
        ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    ),
    "zoom_blur": (
        _zoom_blur,
        ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
        ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    ),
    "snow": (
        _snow,
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
    "frost": (
        _frost,
        ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
        ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
    ),
    "fog": (
        _fog,
        ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
        ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    ),
    "brightness": (
        _brightness,
        ((0.05,), (0.1,), (0.15,), (0.2,), (0.3,)),
        ((0.1,), (0.2,), (0.3,), (0.4,), (0.5,)),
    ),
    "contrast": (
        _contrast,
        ((0.75,), (0.5,), (0.4,), (0.3,), (0.15,)),
        ((0.4,), (0.3,), (0.2,), (0.1,), (0.05,)),
    ),
    "elastic_transform": (
        _elastic_transform,
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
    "pixelate": (
        _pixelate,
        ((0.95,), (0.9,), (0.85,), (0.75,), (0.65,)),
        ((0.6,), (0.5,), (0.4,), (0.3,), (0.25,)),
    ),
    "jpeg_compression": (
        _jpeg_compression,
        ((80,), (65,), (58,), (50,), (40,)),
        ((25,), (18,), (15,), (10,), (7,)),
    ),
}
CORRUPTIONS = tuple(_CORRUPTIONS)
