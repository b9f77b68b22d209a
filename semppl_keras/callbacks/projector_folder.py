"""Embeddings for TensorBoard's projector."""

import io
import math
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

_THUMBNAIL_SIDE = 32
# The largest image that the projector takes.
_SPRITE_SIDE = 8192
_CONFIG_NAME = "projector_config.pbtxt"
_OWN_PATH = re.compile(r"projector/(\d+)/tensors\.tsv")


class ProjectorFolder:
    """Embeddings of the same images at several epochs, for TensorBoard's projector.

    Each epoch has a folder `projector/<epoch>` of `tensors.tsv`, `metadata.tsv` and
    `sprite.png`; `projector_config.pbtxt` beside `projector` lists all of them, also
    those of earlier runs and what others have listed there.

    Args:
        folder: `pathlib.Path` of the run.
        images: `(N, H, W, C)`, the images embedded, shown as thumbnails.
        first_epoch: int; what earlier runs wrote from this epoch on is superseded.
    """

    def __init__(self, folder: pathlib.Path, images: Any, first_epoch: int) -> None:
        self._folder = folder
        self._sprite, self._thumbnail_size = sprite(images)
        self._first_epoch = first_epoch
        self._written: set[int] = set()

    def write(
        self, epoch: int, features: np.ndarray, metadata: Mapping[str, Iterable[Any]]
    ) -> None:
        """Writes what the projector shows of one epoch.

        Args:
            epoch: int.
            features: `(N, F)` floats.
            metadata: dict of columns, each N values; at least two, since the
                projector expects no header above a single one.
        """
        relative = f"projector/{epoch:04d}"
        folder = self._folder / relative
        folder.mkdir(parents=True, exist_ok=True)
        row = "\t".join(["%.6g"] * features.shape[1])
        lines = [row % tuple(values) for values in features.tolist()]
        _write_lines(folder / "tensors.tsv", lines)
        table = [metadata, *zip(*metadata.values(), strict=True)]
        lines = ["\t".join(map(_cell, cells)) for cells in table]
        _write_lines(folder / "metadata.tsv", lines)
        (folder / "sprite.png").write_bytes(self._sprite)
        self._written.add(epoch)
        self._list(epoch, relative, features.shape)

    def _list(self, epoch: int, relative: str, shape: tuple[int, ...]) -> None:
        from google.protobuf import text_format
        from tensorboard.plugins.projector import ProjectorConfig

        path = self._folder / _CONFIG_NAME
        before, config = ProjectorConfig(), ProjectorConfig()
        if path.exists():
            text_format.Parse(path.read_text(encoding="utf-8"), before)
        config.MergeFrom(before)
        del config.embeddings[:]
        for entry in before.embeddings:
            own = _OWN_PATH.fullmatch(entry.tensor_path)
            if own is None or self._is_current(int(own[1]), epoch):
                config.embeddings.append(entry)
        entry = config.embeddings.add(
            tensor_name=f"epoch_{epoch:04d}",
            tensor_path=f"{relative}/tensors.tsv",
            metadata_path=f"{relative}/metadata.tsv",
            tensor_shape=shape,
        )
        entry.sprite.image_path = f"{relative}/sprite.png"
        entry.sprite.single_image_dim.extend(self._thumbnail_size)
        # TensorBoard may read it at any moment.
        part = path.with_name(path.name + ".part")
        part.write_text(text_format.MessageToString(config), encoding="utf-8")
        os.replace(part, path)

    def _is_current(self, listed: int, epoch: int) -> bool:
        if listed == epoch:
            return False
        return listed < self._first_epoch or listed in self._written


def sprite(images: np.ndarray) -> tuple[bytes, tuple[int, int]]:
    """Thumbnails of images, row by row in one square image.

    Args:
        images: `(N, H, W, C)`: uint8, or numbers whose smallest is shown black and
            whose largest white. Of more than three channels the first three are
            shown, of two the first.

    Returns:
        The bytes of a PNG file, and the (width, height) of a thumbnail in pixels.
    """
    from PIL import Image

    channels = 3 if images.shape[-1] >= 3 else 1
    pixels = _as_bytes(images[..., :channels])
    columns = math.ceil(math.sqrt(len(pixels)))
    height, width = pixels.shape[1:3]
    side = min(_THUMBNAIL_SIDE, _SPRITE_SIDE // columns)
    scale = min(1, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    sheet = Image.new("RGB", (columns * size[0], columns * size[1]))
    for index, image in enumerate(pixels):
        thumbnail = Image.fromarray(image[..., 0] if channels == 1 else image)
        row, column = divmod(index, columns)
        sheet.paste(
            thumbnail.resize(size, Image.Resampling.BILINEAR),
            (column * size[0], row * size[1]),
        )
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue(), size


def _as_bytes(images: np.ndarray) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    images = images.astype("float32")
    low, high = images.min(), images.max()
    return np.round((images - low) / max(high - low, 1e-12) * 255).astype("uint8")


def _cell(value: Any) -> str:
    """One cell of a table: a tab or a line break would begin the next one."""
    return " ".join(str(value).split())


def _write_lines(path: pathlib.Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
