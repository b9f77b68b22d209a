"""A map of images that can be zoomed, with a picture of the image under the pointer."""

import html
import math

import numpy as np

from semppl_keras.reports.html_pages import as_script, data_uri

# Of the pictures under the pointer, in the file and on the page.
_TILE = 48
_SHOWN = 120

STYLE = """
#map { position: relative; border: 1px solid var(--line); border-radius: 6px;
  background: #fff; touch-action: none; overflow: hidden; }
#map canvas { display: block; width: 100%; height: 100%; cursor: crosshair; }
#map { height: min(70vh, 560px, 100vw); }
#tip { position: absolute; display: none; pointer-events: none; padding: 6px;
  width: 136px; background: #fff; border: 1px solid var(--line); border-radius: 6px;
  box-shadow: 0 2px 8px #0003; font-size: 12px; overflow-wrap: anywhere; }
#tip div { width: 120px; height: 120px; image-rendering: pixelated; margin-bottom: 4px;
  background-color: var(--ground); }
.tools, .legend { display: flex; flex-wrap: wrap; align-items: center; gap: 6px;
  margin: 8px 0; }
.legend button { color: var(--ink); font-size: 13px; padding: 2px 8px; }
.legend button[aria-pressed="false"] { opacity: .35; }
.legend i, .key i { display: inline-block; width: 10px; height: 10px;
  border-radius: 50%; margin-right: 5px; }
"""

SCRIPT = """
(() => {
const data = DATA;
const box = document.getElementById("map"), tip = document.getElementById("tip");
const canvas = box.querySelector("canvas"), pen = canvas.getContext("2d");
const shown = data.classes.map(() => true);
let scale = 1, left = 0, top_ = 0, width = 0, height = 0, chosen = -1;
function place(i) {
  const side = Math.min(width, height) - 24;
  return [left + scale * (width / 2 + (data.x[i] - .5) * side),
    top_ + scale * (height / 2 + (data.y[i] - .5) * side)];
}
function draw() {
  pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const size = Math.min(9, 3.2 * Math.sqrt(scale));
  for (const kind of [0, 1, 2]) for (let i = 0; i < data.x.length; i++) {
    if (data.kind[i] !== kind || !shown[data.color[i]]) continue;
    const [x, y] = place(i);
    if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
    pen.fillStyle = pen.strokeStyle = data.palette[data.color[i]];
    pen.beginPath();
    if (kind === 2) pen.rect(x - size * 1.3, y - size * 1.3, size * 2.6, size * 2.6);
    else pen.arc(x, y, size, 0, 7);
    if (kind === 0) { pen.lineWidth = 1.3; pen.stroke(); } else pen.fill();
    if (kind === 2) { pen.lineWidth = 1.5; pen.strokeStyle = "#111"; pen.stroke(); }
  }
}
function fit() {
  width = box.clientWidth; height = box.clientHeight;
  canvas.width = width * devicePixelRatio; canvas.height = height * devicePixelRatio;
  draw();
}
function zoom(factor, x, y) {
  factor = Math.min(60, Math.max(.5, scale * factor)) / scale;
  left = x - factor * (x - left); top_ = y - factor * (y - top_); scale *= factor;
  draw();
}
function show(x, y) {
  let best = 18 * 18; chosen = -1;
  for (let i = 0; i < data.x.length; i++) {
    if (!shown[data.color[i]]) continue;
    const [a, b] = place(i), far = (a - x) ** 2 + (b - y) ** 2;
    if (far < best) { best = far; chosen = i; }
  }
  tip.style.display = chosen < 0 ? "none" : "block";
  if (chosen < 0) return;
  const [a, b] = place(chosen), across = data.across;
  const picture = tip.firstElementChild;
  picture.style.backgroundImage = "url(" + data.sprite + ")";
  picture.style.backgroundSize = across * 120 + "px";
  picture.style.backgroundPosition = -120 * (chosen % across) + "px " +
    -120 * Math.floor(chosen / across) + "px";
  tip.lastElementChild.textContent = data.text[chosen];
  tip.style.left = Math.max(0, Math.min(a + 14, width - 140)) + "px";
  tip.style.top = Math.max(0, Math.min(b + 14, height - tip.offsetHeight - 4)) + "px";
}
const pointers = new Map();
let spread = 0;
canvas.addEventListener("pointerdown", e => {
  canvas.setPointerCapture(e.pointerId);
  pointers.set(e.pointerId, [e.offsetX, e.offsetY]); spread = 0;
});
for (const name of ["pointerup", "pointercancel"])
  canvas.addEventListener(name, e => { pointers.delete(e.pointerId); spread = 0; });
canvas.addEventListener("pointerleave", () => { tip.style.display = "none"; });
canvas.addEventListener("pointermove", e => {
  const before = pointers.get(e.pointerId);
  if (!before) { show(e.offsetX, e.offsetY); return; }
  pointers.set(e.pointerId, [e.offsetX, e.offsetY]);
  tip.style.display = "none";
  if (pointers.size === 1) {
    left += e.offsetX - before[0]; top_ += e.offsetY - before[1]; draw();
  } else {
    const [a, b] = [...pointers.values()];
    const now = Math.hypot(a[0] - b[0], a[1] - b[1]);
    if (spread) zoom(now / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
    spread = now;
  }
});
canvas.addEventListener("click", e => show(e.offsetX, e.offsetY));
canvas.addEventListener("wheel", e => {
  e.preventDefault(); zoom(Math.exp(-e.deltaY / 400), e.offsetX, e.offsetY);
}, {passive: false});
document.getElementById("in").onclick = () => zoom(1.6, width / 2, height / 2);
document.getElementById("out").onclick = () => zoom(1 / 1.6, width / 2, height / 2);
document.getElementById("whole").onclick = () => {
  scale = 1; left = top_ = 0; draw();
};
document.querySelectorAll("#classes button").forEach((button, i) => {
  button.onclick = () => {
    shown[i] = !shown[i]; button.setAttribute("aria-pressed", shown[i]); draw();
  };
});
new ResizeObserver(fit).observe(box);
fit();
})();
"""

_KINDS = ("not labelled", "test", "labelled")


def embedding_map(points, images, classes, kinds, texts, class_names):
    """A map with buttons, and a legend that hides and shows classes.

    Args:
        points: `(N, 2)`.
        images: `(N, h, w, 1 or 3)` in [0, 255].
        classes: `(N,)` integers, of the colours.
        kinds: `(N,)` of 0 (not labelled), 1 (test) or 2 (labelled).
        texts: For each image what stands below its picture.
        class_names: Of all classes.

    Returns:
        HTML and JavaScript; the page needs `STYLE`.
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
    return body, SCRIPT.replace("DATA", as_script(data), 1)


def class_color(index, count):
    """A colour of its own for each class, as CSS writes it.

    Args:
        index: Of the class.
        count: How many classes there are.
    """
    if count <= 10:
        from matplotlib import colormaps, colors

        return colors.to_hex(colormaps["tab10"].colors[index])
    # Neighbours in the list differ in hue and in lightness.
    return f"hsl({round(137.5 * index) % 360} 65% {(38, 52, 66)[index % 3]}%)"


def _sprite(images, across):
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


def _resized(image, tile):
    from semppl_keras.data.images.files import resize_image

    return resize_image(np.clip(image, 0, 255), tile, np.shape(image)[-1])
