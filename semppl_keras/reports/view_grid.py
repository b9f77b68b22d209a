"""The picture of augmented views."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from semppl_keras.reports.drawing import new_figure

_CELL = 1.25  # inches
_DPI = 100


def draw_views(views: Any, images: Sequence[Any], draws: int = 2, seed: int = 0) -> Any:
    """Draws images and, beside each, what training makes of it.

    Args:
        views: `MultiCrop`.
        images: list of N `(h, w, 1 or 3)` arrays in its `value_range`, of any sizes.
        draws: how often its views are drawn.
        seed: of the draws.

    Returns:
        A figure of matplotlib: a row for each image: itself, the square that is seen
        without augmentation, then large and small views.

    Example:
        >>> draw_views(model.views, [image]).savefig("views.png")
    """
    rows = [
        _row(views, image, draws, seed + index) for index, image in enumerate(images)
    ]
    titles = ["image", "seen"]
    for _ in range(draws):
        titles += [f"large {number + 1}" for number in range(views.num_large)]
        titles += [f"small {number + 1}" for number in range(views.num_small)]
    figure = new_figure(_CELL * len(titles), _CELL * len(rows) + 0.25, dpi=_DPI)
    panels = figure.subplots(len(rows), len(titles), squeeze=False)
    for cells, row in zip(panels, rows, strict=True):
        for axes, pixels in zip(cells, row, strict=True):
            axes.imshow(pixels, vmin=0, vmax=1, cmap="gray")
            axes.set_axis_off()
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set_title(title, fontsize=8)
    return figure


def _row(views: Any, image: Any, draws: int, seed: int) -> list[np.ndarray]:
    """Pictures in [0, 1] of one image and its views."""
    batch = np.asarray(image)[None]
    row = [_scaled(batch[0], views.value_range)]
    row.append(_scaled(_array(views.center_view(batch))[0], views.output_range))
    generator = keras.random.SeedGenerator(seed)
    for _ in range(draws):
        drawn = views(batch, seed=generator)
        for size in ("large", "small"):
            if size in drawn:
                row += [
                    _scaled(view, views.output_range) for view in _array(drawn[size])[0]
                ]
    return row


def _scaled(pixels: Any, value_range: tuple[float, float]) -> np.ndarray:
    low, high = value_range
    pixels = np.clip((np.asarray(pixels, "float32") - low) / (high - low), 0, 1)
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def _array(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)
