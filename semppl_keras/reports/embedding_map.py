"""A map of images that can be zoomed, with a picture of the image under the pointer."""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from semppl_keras.reports.html_pages import data_uri, script_of

# Pixels of a side of the pictures under the pointer.
_TILE = 48

_KINDS = ("not labelled", "test", "labelled")


def embedding_map(
    points: Any,
    images: Any,
    classes: Any,
    kinds: Iterable[int],
    texts: Iterable[str],
    class_names: Sequence[str],
) -> tuple[str, str]:
    """A map with buttons, and a legend that hides and shows classes.

    Args:
        points: `(N, 2)`.
        images: `(N, h, w, 1 or 3)` in [0, 255].
        classes: `(N,)` integers, of the colours.
        kinds: `(N,)` of 0 (not labelled), 1 (test) or 2 (labelled).
        texts: For each image what stands below its picture.
        class_names: Of all classes.

    Returns:
        HTML and JavaScript; the page needs `style_of("embedding_map")`.
    """
    points = np.asarray(points, "float64")
    low, high = points.min(axis=0), points.max(axis=0)
    # The same scale for both axes.
    unit = (points - (low + high) / 2) / max((high - low).max(), 1e-12) + 0.5
    across = math.ceil(math.sqrt(len(images)))
    palette = [
        class_color(index, len(class_names)) for index in range(len(class_names))
    ]
    data = {
        "x": np.round(unit[:, 0], 4).tolist(),
        "y": np.round(unit[:, 1], 4).tolist(),
        "color": np.asarray(classes).tolist(),
        "kind": np.asarray(kinds).tolist(),
        "text": list(texts),
        "classes": list(class_names),
        "palette": palette,
        "across": across,
        "sprite": data_uri(_sprite(images, across)),
    }
    legend = "".join(
        f'<button aria-pressed="true"><i style="background:{color}"></i>'
        f"{html.escape(name)}</button>"
        for name, color in zip(class_names, palette, strict=True)
    )
    there = [_KINDS[kind] for kind in (0, 1, 2) if kind in set(data["kind"])]
    marks = {
        "not labelled": "rings: not labelled (colour: prediction)",
        "test": "dots: test images (colour: true class)",
        "labelled": "squares: labelled images",
    }
    body = (
        '<div class="tools"><button id="in" aria-label="zoom in">+</button>'
        '<button id="out" aria-label="zoom out">&minus;</button>'
        '<button id="whole">whole map</button>'
        f'<span class="soft">{"; ".join(marks[kind] for kind in there)}</span></div>'
        '<div id="map"><canvas></canvas><div id="tip"><div></div><span></span></div>'
        f'</div><div class="legend" id="classes">{legend}</div>'
    )
    return body, script_of("embedding_map", DATA=data)


def class_color(index: int, count: int) -> str:
    """A colour of its own for each class, as CSS writes it.

    Args:
        index: Of the class.
        count: How many classes there are.
    """
    if count <= 10:
        from matplotlib import colormaps, colors

        return colors.to_hex(colormaps["tab10"](index))
    # Neighbours in the list differ in hue and in lightness.
    return f"hsl({round(137.5 * index) % 360} 65% {(38, 52, 66)[index % 3]}%)"


def _sprite(images: Any, across: int) -> np.ndarray:
    """All pictures in one, row by row."""
    down = math.ceil(len(images) / across)
    tile = min(_TILE, max(np.shape(images)[1:3]))
    sprite = np.zeros((down * tile, across * tile, np.shape(images)[-1]), "uint8")
    for index, image in enumerate(images):
        row, column = divmod(index, across)
        sprite[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile] = (
            _resized(image, tile)
        )
    return sprite


def _resized(image: Any, tile: int) -> np.ndarray:
    from semppl_keras.data.images.files import resize_image

    return resize_image(np.clip(image, 0, 255), tile, np.shape(image)[-1], fit="crop")
