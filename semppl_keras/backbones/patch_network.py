"""A network that is fitted to images without labels, in seconds: patches."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from semppl_keras.backbones.directions import fit_directions
from semppl_keras.backbones.gradient_layers import OrientedGradients
from semppl_keras.backbones.patch_layers import PatchActivations
from semppl_keras.backbones.resnet import is_count
from semppl_keras.checks import check_integers

# Patches of which the dictionary is made, and images of which the directions are.
_PATCHES, _IMAGES = 40_000, 10_000
# A patch of less contrast shows nothing.
_LEAST_DEVIATION = 0.02
# Of the variances of a patch's values, where they are whitened.
_WHITENING_FLOOR = 0.1
# Of the similarity of a patch and an entry, which counts above it.
_THRESHOLD = 0.5
# Pixels of the images that pass a layer together: some hundred numbers of each.
_PIXELS_AT_ONCE = 200_000

# Of the directions of gradients, see `fit_directions`.
_GRADIENT_COMPONENTS, _GRADIENT_WHITENING = 128, 0.5

# Pixels of a side of usual patches, and cells of the grid over which each is averaged.
_USUAL = ((4, 3), (6, 4))

# Function of (what is done: str, how many, of how many).
Progress = Callable[[str, int, int], None]


def fit_patch_network(
    images: Any,
    *,
    sizes: Sequence[int] = (4, 6),
    entries: int = 128,
    grids: Sequence[int] = (3, 4),
    components: int = 192,
    whitening: float = 0.7,
    gradients: bool = True,
    seed: int = 0,
    name: str = "patches",
    progress: Progress | None = None,
) -> keras.Model:
    """A network whose features tell which patches an image has, and where.

    Nothing is trained by gradients: the patches that occur in the images are clustered
    (k-means, of whitened patches: Coates, Lee & Ng, AISTATS 2011), how much an image's
    patches are like the centres is averaged over the cells of a grid, and of these
    numbers the directions of largest variance are kept. Each is divided by its
    deviation to the power `whitening`, so that a few do not outweigh the others, and
    the result has length 1. Histograms of oriented gradients stand beside the patches,
    and count as much as all of them. A graph of nearest neighbours over it follows
    shapes better than one over pixels or gradients (docs/results/accuracy.md).

    Args:
        images: `(N, h, w, C)` in [0, 1], at least 2, of at most some 64 pixels a side.
        sizes: pixels of a side of a patch, each with a dictionary of its own.
        entries: of each dictionary.
        grids: cells along a side of the image, for each size.
        components: directions that are kept for each size.
        whitening: in [0, 1]; 1 for directions that count alike.
        gradients: whether there are histograms of gradients.
        seed: of the images and patches that are looked at, and of the clusters.
        name: of the model.
        progress: function of (what is done: str, how many, of how many).

    Returns:
        A functional `keras.Model` from images `(B, h, w, C)` in [0, 1] to features
        `(B, F)` of length 1, none of whose weights is trainable.

    Raises:
        ValueError: images that are none, or an argument out of range.

    Example:
        >>> network = fit_patch_network(images / 255)
        >>> shares = propagate_labels(network.predict(images / 255), labels)
    """
    images = np.asarray(images)
    _check(images, sizes, entries, grids, components, whitening)
    generator = np.random.default_rng(seed)
    chosen = images[np.sort(generator.permutation(len(images))[:_IMAGES])]
    chosen = chosen.astype("float32")
    inputs = keras.Input(images.shape[1:], name="images")
    parts = []
    for index, (size, grid) in enumerate(zip(sizes, grids, strict=True)):
        if progress is not None:
            progress("dictionaries of patches", index, len(sizes))
        activations = PatchActivations(size, entries, grid, name=f"patches_{size}")
        activations.build((None, *images.shape[1:]))
        _fit_dictionary(activations, chosen, generator)
        project = _fit_directions(activations, chosen, components, whitening)
        parts.append(
            layers.UnitNormalization(name=f"unit_{size}")(project(activations(inputs)))
        )
    if gradients:
        of_gradients = OrientedGradients(name="gradients")
        project = _fit_directions(
            of_gradients, chosen, _GRADIENT_COMPONENTS, _GRADIENT_WHITENING
        )
        unit = layers.UnitNormalization(name="unit_gradients")
        weighted = layers.Rescaling(math.sqrt(len(parts)), name="weighted_gradients")
        parts.append(weighted(unit(project(of_gradients(inputs)))))
    outputs = parts[0] if len(parts) == 1 else layers.Concatenate(name="sizes")(parts)
    if len(parts) > 1:
        outputs = layers.UnitNormalization(name="features")(outputs)
    if progress is not None:
        progress("dictionaries of patches", len(sizes), len(sizes))
    network = keras.Model(inputs, outputs, name=name)
    network.trainable = False
    return network


def usual_patches(side: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sizes of patches, and grids for each, that images of a size have room for.

    Args:
        side: pixels of the shorter side, at least 2.
    """
    fitting = [(size, grid) for size, grid in _USUAL if side - size + 1 >= grid]
    sizes, grids = zip(*(fitting or [(2, 1)]), strict=True)
    return sizes, grids


def _fit_dictionary(
    layer: PatchActivations, images: np.ndarray, generator: np.random.Generator
) -> None:
    """Fills a layer's dictionary with the centres of whitened patches."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    patches = _some_patches(layer, images, generator)
    mean = patches.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(patches - mean, rowvar=False))
    scale = 1 / np.sqrt(np.maximum(variances, 0) + _WHITENING_FLOOR)
    whiten = (directions * scale) @ directions.T
    clusters = MiniBatchKMeans(
        layer.entries,
        n_init=1,
        max_iter=10,
        batch_size=2000,
        random_state=int(generator.integers(2**31)),
    )
    with warnings.catch_warnings():
        # Drawings may have fewer different patches than there are entries.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters.fit((patches - mean) @ whiten)
    centres = clusters.cluster_centers_
    lengths = np.linalg.norm(centres, axis=1, keepdims=True)
    kernel = whiten @ (centres / np.maximum(lengths, 1e-9)).T
    layer.set_weights([kernel, -mean @ kernel - _THRESHOLD])


def _some_patches(
    layer: PatchActivations, images: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Patches `(n, values)` float64 of some contrast, normalised as the layer does."""
    size = layer.size
    rows, columns = (
        generator.integers(0, side - size + 1, _PATCHES) for side in images.shape[1:3]
    )
    which = generator.integers(0, len(images), _PATCHES)
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), (1, 2))
    # (n, C, size, size), in the order of the layer: channels last.
    patches = windows[which, rows, columns].transpose(0, 2, 3, 1)
    patches = patches.reshape(_PATCHES, -1).astype("float64")
    deviations = patches.std(axis=1)
    contrasty = deviations > _LEAST_DEVIATION
    if contrasty.sum() >= max(layer.entries, patches.shape[1] + 1):
        patches = patches[contrasty]
    patches = patches - patches.mean(axis=1, keepdims=True)
    variances = np.mean(patches**2, axis=1, keepdims=True)
    return patches / np.sqrt(variances + layer.contrast_floor)


def _fit_directions(
    layer: keras.layers.Layer, images: np.ndarray, components: int, whitening: float
) -> keras.layers.Dense:
    """The directions of what a layer makes of images."""
    at_once = max(1, _PIXELS_AT_ONCE // math.prod(images.shape[1:3]))
    values = np.concatenate(
        [
            ops.convert_to_numpy(layer(images[start : start + at_once]))
            for start in range(0, len(images), at_once)
        ]
    )
    return fit_directions(values, components, whitening, f"directions_{layer.name}")


def _check(
    images: np.ndarray,
    sizes: Sequence[int],
    entries: int,
    grids: Sequence[int],
    components: int,
    whitening: float,
) -> None:
    if images.ndim != 4 or len(images) < 2:
        raise ValueError(
            "`images` must be at least two, (N, h, w, C), in [0, 1]. Received: shape "
            f"{images.shape}."
        )
    low, high = float(images.min()), float(images.max())
    # Written so that what is no number is refused as well.
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"`images` must lie in [0, 1]. Received: values from {low:.3g} to "
            f"{high:.3g}. Divide images of 8 bits by 255."
        )
    if not sizes or len(sizes) != len(grids):
        raise ValueError(
            "`sizes` must be at least one, each with one of `grids`. Received: "
            f"sizes={sizes!r}, grids={grids!r}."
        )
    for size, grid in zip(sizes, grids, strict=True):
        room = min(images.shape[1:3]) - (size if is_count(size) else 0) + 1
        if not is_count(size) or not is_count(grid) or size < 2 or grid > room:
            raise ValueError(
                "`sizes` must be at least 2 and leave room for `grids` cells in images "
                f"of {images.shape[1]} x {images.shape[2]} pixels. Received: sizes="
                f"{sizes!r}, grids={grids!r}."
            )
    check_integers(1, entries=entries, components=components)
    if not isinstance(whitening, (int, float)) or not 0 <= whitening <= 1:
        raise ValueError(
            f"`whitening` must lie in [0, 1]. Received: whitening={whitening!r}."
        )
