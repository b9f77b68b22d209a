"""Pages that need nothing but themselves: style, pictures and data are in the file."""

import base64
import html
import io
import json

import numpy as np

# Nothing is fetched, whatever stands in a file name.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)
# Up to here a picture is enlarged, pixel by pixel, rather than blurred.
_SMALL = 40

_STYLE = """
:root { color-scheme: light; --ink: #1c2430; --soft: #5b6675; --line: #d9dee5;
  --accent: #1f5fa8; --paper: #fff; --ground: #f4f6f8; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.5rem; margin: .4em 0 .2em; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .5em; }
* + h2 { margin-top: 1em; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 8px;
  padding: 14px; margin: 14px 0; }
p { margin: .3em 0 .7em; }
.soft { color: var(--soft); }
table { border-collapse: collapse; }
th, td { text-align: left; padding: 3px 12px 3px 0; vertical-align: top; }
td, li, summary { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
img { display: block; background: var(--ground); }
img.small { image-rendering: pixelated; }
button, select { font: inherit; padding: 4px 8px; border: 1px solid var(--line);
  border-radius: 6px; background: var(--paper); color: var(--ink); max-width: 100%; }
button { cursor: pointer; color: var(--accent); }
"""


def page(title, body, style="", script=""):
    """A whole page.

    Args:
        title: Text, of the window and of the headline.
        body: HTML.
        style: CSS beside the pages' own.
        script: JavaScript, run once the body is there.

    Returns:
        HTML.
    """
    title = html.escape(title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}{style}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n"
        + (f"<script>\n{script}\n</script>\n" if script else "")
        + "</body>\n</html>\n"
    )


def as_script(value):
    """A value as JavaScript, harmless whatever texts are in it.

    Args:
        value: What `json` can write.

    Returns:
        Text.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    # Within a script nothing else ends it, or begins a comment.
    return text.replace("<", "\\u003c")


def data_uri(image, side=None):
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


def picture(image, width, side=None, description=""):
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


def table(rows):
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
