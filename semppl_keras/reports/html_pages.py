"""Pages that need nothing but themselves: style, pictures and data are in the file.

Their CSS and JavaScript are the files of `assets/`, named after the module or command
that writes the page.
"""

import base64
import html
import importlib.resources
import io
import json
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

# Nothing is fetched, whatever stands in a file name.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)
# Up to here a picture is enlarged, pixel by pixel, rather than blurred.
_SMALL = 40
# Where a value goes in a script: it is no word of JavaScript, nor of ours there.
_PLACE = re.compile(r"\b[A-Z]{2,}\b")


def page(title: str, body: str, style: str = "", script: str = "") -> str:
    """A whole page.

    Args:
        title: Text, of the window and of the headline.
        body: HTML.
        style: CSS beside the pages' own, see `style_of`.
        script: JavaScript, run once the body is there, see `script_of`.

    Returns:
        HTML.
    """
    title, own = html.escape(title), style_of("html_pages")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{own}{style}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n"
        + (f"<script>\n{script}\n</script>\n" if script else "")
        + "</body>\n</html>\n"
    )


def style_of(name: str) -> str:
    """The CSS in `assets/`.

    Args:
        name: Of the file, without `.css`.

    Returns:
        CSS, which begins on a line of its own.
    """
    return "\n" + _asset(f"{name}.css")


def script_of(name: str, **values: Any) -> str:
    """The JavaScript in `assets/`, with its data.

    Args:
        name: Of the file, without `.js`.
        **values: By the names, in capitals, that stand for them in the file; what
            `json` can write.

    Returns:
        JavaScript, which begins on a line of its own.

    Raises:
        ValueError: A name without a value, or a value without a place.

    Example:
        >>> script_of("embedding_map", DATA={"x": [0.5], "y": [0.5]})
    """
    text = _asset(f"{name}.js")
    places = set(_PLACE.findall(text))
    if places != set(values):
        raise ValueError(
            f"The values must be those of assets/{name}.js: {', '.join(places)}. "
            f"Received: {', '.join(values) or 'none'}."
        )
    # All at once: the texts in a value may be the names of others.
    return "\n" + _PLACE.sub(lambda place: as_script(values[place[0]]), text)


def as_script(value: Any) -> str:
    """A value as JavaScript, harmless whatever texts are in it.

    Args:
        value: What `json` can write.

    Returns:
        Text.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    # Within a script nothing else ends it, or begins a comment.
    return text.replace("<", "\\u003c")


def data_uri(image: Any, side: int | None = None) -> str:
    """An image as a text that stands where its address would.

    Args:
        image: `(h, w, 1 or 3)` or `(h, w)`, uint8, or float in [0, 255].
        side: Pixels that neither side is to exceed, or None.

    Returns:
        Text: a PNG of a small image, a JPEG of another.
    """
    from PIL import Image

    pixels = np.rint(np.clip(np.asarray(image, "float32"), 0, 255)).astype("uint8")
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    picture = Image.fromarray(pixels)
    if side is not None:
        picture.thumbnail((side, side))
    small = max(picture.size) <= _SMALL
    file = io.BytesIO()
    if small:
        picture.save(file, "PNG", optimize=True)
    else:
        picture.save(file, "JPEG", quality=80)
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def picture(
    image: Any, width: int, side: int | None = None, description: str = ""
) -> str:
    """An `img` element.

    Args:
        image: As `data_uri` takes it.
        width: Pixels on the page.
        side: As `data_uri` takes it.
        description: What it shows.

    Returns:
        HTML.
    """
    height, across = np.shape(image)[:2]
    small = ' class="small"' if max(height, across) <= _SMALL else ""
    return (
        f'<img{small} src="{data_uri(image, side)}" width="{width}" '
        f'height="{max(1, round(width * height / across))}" '
        f'alt="{html.escape(description, quote=True)}">'
    )


def table(rows: Iterable[tuple[Any, Any]]) -> str:
    """A table of two columns.

    Args:
        rows: List of (what, value), of texts.

    Returns:
        HTML.
    """
    lines = "".join(
        f"<tr><th>{html.escape(str(what))}</th><td>{html.escape(str(value))}</td></tr>"
        for what, value in rows
    )
    return f'<div class="scroll"><table>{lines}</table></div>'


def _asset(name: str) -> str:
    file = importlib.resources.files("semppl_keras.reports") / "assets" / name
    return file.read_text(encoding="utf-8")
