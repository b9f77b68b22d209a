"""Pictures of more pixels than memory should hold, read in parts and made smaller.

PNG (www.w3.org/TR/png-3, sections 5, 9 and 11) and TIFF (revision 6.0: strips and
tiles, each compressed by itself) are put together of small files of their own kind,
which Pillow reads; JPEG 2000 is decoded at a lower resolution, of which it holds
several.
"""

import collections.abc
import io
import math
import os
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

# What is held of a picture beside the small one, about.
PART_BYTES = 1 << 23
# Of each a file is made.
_MOST_PARTS = 1 << 17
_PIECE = 1 << 16
_LARGEST_FACTOR = 1 << 12
_PNG_BEGINS = b"\x89PNG\r\n\x1a\n"
# By colour type, samples of a pixel.
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# And of bytes of a pixel a colour type of eight bits that has as many.
_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
# What a part of a TIFF file needs of what the whole is described by: bits, compression,
# colours, predictor, tables and the like; neither orientation nor sizes.
_TIFF_TAGS = (
    *(258, 259, 262, 266, 277, 284, 292, 293, 317, 320, 338, 339, 347),
    *(529, 530, 531, 532),
)
_OLD_JPEG = 6

# Formats, as Pillow calls them, of which pictures may be read so.
PARTED = ("PNG", "TIFF", "JPEG2000")

Parts = collections.abc.Iterator[tuple[int, int, Image.Image]]


class NotInParts(ValueError):
    """A picture of a kind that cannot be read in parts; its text says why."""


def reduced(
    image: Image.Image,
    file: str | os.PathLike[str] | bytes,
    mode: str,
    side: int,
    limit: int,
    shown: collections.abc.Callable[[Image.Image], Image.Image],
) -> tuple[Image.Image, tuple[float, float]]:
    """A picture of fewer pixels, the means of squares of the whole.

    Args:
        image: of the whole, open and not decoded: PNG, TIFF or JPEG 2000.
        file: its path or `bytes`.
        mode: "RGB" or "L".
        side: int, pixels that its shorter side should have at least.
        limit: int, pixels that may be decoded at once.
        shown: function that makes of a part what is to be seen of it, in `mode`.

    Returns:
        `PIL.Image.Image` in `mode`, not turned; and how wide and high it is in its
        pixels, of which those at the right and lower edge need not be whole.

    Raises:
        NotInParts: if it cannot be read so.
    """
    width, height = _stored_size(image)
    # Sums of larger squares would be too large.
    factor = min(max(min(width, height) // side, 1), _LARGEST_FACTOR)
    factor = max(factor, math.ceil(math.sqrt(width * height / limit)))
    if factor > _LARGEST_FACTOR:
        raise NotInParts("it would have to become much smaller")
    if image.format == "JPEG2000":
        smaller = shown(_at_lower_resolution(image, factor, limit))
        return smaller, (smaller.width, smaller.height)
    parts = _png_parts if image.format == "PNG" else _tiff_parts
    means = _Means(width, height, factor, len(mode))
    with io.BytesIO(file) if isinstance(file, bytes) else open(file, "rb") as content:
        for left, top, part in parts(content, image, limit):
            means.add(left, top, np.asarray(shown(part)))
    small = Image.fromarray(means.array().reshape(means.shape))
    return small, (width / factor, height / factor)


def _stored_size(image: Any) -> tuple[int, int]:
    """The sides before any turn, which Pillow tells of TIFF after it."""
    if image.format != "TIFF":
        return image.size
    return int(image.tag_v2[256]), int(image.tag_v2[257])


class _Means:
    """The means of squares of pixels, of parts that may begin anywhere."""

    def __init__(self, width: int, height: int, factor: int, channels: int) -> None:
        self._size, self._factor = (width, height), factor
        shape = (-(-height // factor), -(-width // factor), channels)
        self._sums = np.zeros(shape, "uint32")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an image with as many channels."""
        return self._sums.shape if self._sums.shape[2] > 1 else self._sums.shape[:2]

    def add(self, left: int, top: int, pixels: np.ndarray) -> None:
        if pixels.ndim == 2:
            pixels = pixels[..., None]
        # What of a tile lies beyond the edge.
        pixels = pixels[: self._size[1] - top, : self._size[0] - left]
        rows = self._starts(top, pixels.shape[0])
        columns = self._starts(left, pixels.shape[1])
        sums = np.add.reduceat(pixels, columns, axis=1, dtype="uint32")
        sums = np.add.reduceat(sums, rows, axis=0)
        above, before = top // self._factor, left // self._factor
        self._sums[above : above + len(rows), before : before + len(columns)] += sums

    def array(self) -> np.ndarray:
        counts = [
            np.minimum(self._factor, whole - np.arange(0, whole, self._factor))
            for whole in self._size
        ]
        in_square = (counts[1][:, None] * counts[0][None])[..., None]
        return ((self._sums + in_square // 2) // in_square).astype("uint8")

    def _starts(self, begin: int, length: int) -> np.ndarray:
        """Where the squares begin in a part."""
        first = -begin % self._factor
        starts = np.arange(first, length, self._factor)
        return starts if first == 0 else np.concatenate([[0], starts])


def _at_lower_resolution(image: Any, factor: int, limit: int) -> Image.Image:
    reduction = factor.bit_length() - 1
    if (image.width >> reduction) * (image.height >> reduction) > limit:
        reduction += 1
    image.reduce = reduction
    image.load()
    return image


def _png_parts(file: Any, image: Image.Image, limit: int) -> Parts:
    """Some rows at a time."""
    header, chunks, rows = _png_content(file)
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if interlaced:
        raise NotInParts("its rows are interlaced")
    if bits > 8:
        raise NotInParts("it has more than 8 bits a channel")
    pixel = max(1, _SAMPLES[colour] * bits // 8)
    row_bytes = -(-width * _SAMPLES[colour] * bits // 8)
    if row_bytes > limit:
        raise NotInParts("a row of it is too long")
    count = max(1, PART_BYTES // row_bytes)
    before = bytes(row_bytes)
    for top in range(0, height, count):
        here = min(count, height - top)
        filtered = rows.read(here * (row_bytes + 1))
        # Each row is stored by how it differs from that above.
        size = (row_bytes // pixel, here + 1)
        raw = _png(size, 8, _TYPES[pixel], b"", b"\0" + before + filtered).tobytes()
        before = raw[-row_bytes:]
        plain = np.zeros((here, row_bytes + 1), "uint8")
        plain[:, 1:] = np.frombuffer(raw, "uint8").reshape(-1, row_bytes)[1:]
        yield 0, top, _png((width, here), bits, colour, chunks, plain.tobytes())


def _png_content(file: Any) -> tuple[bytes, bytes, "_Inflated"]:
    """Header, the chunks that say what values mean, and the rows."""
    file.seek(len(_PNG_BEGINS))
    header, chunks = b"", b""
    while True:
        length, kind = struct.unpack(">I4s", _exactly(file, 8))
        if kind == b"IDAT":
            return header, chunks, _Inflated(file, length)
        if kind in (b"IHDR", b"PLTE", b"tRNS"):
            # The largest of them has 256 colours.
            if length > 768:
                raise ValueError(f"broken PNG file (chunk {kind!r})")
            content = _exactly(file, length)
            if kind == b"IHDR":
                header = content
            else:
                chunks += _chunk(kind, content)
            file.seek(4, os.SEEK_CUR)
        else:
            file.seek(length + 4, os.SEEK_CUR)


class _Inflated:
    """The rows of a PNG file, of as many chunks as they are in."""

    def __init__(self, file: Any, length: int) -> None:
        self._file, self._left = file, length
        self._inflate = zlib.decompressobj()

    def read(self, count: int) -> bytes:
        parts, missing = [], count
        while missing:
            waiting = self._inflate.unconsumed_tail or self._piece()
            part = self._inflate.decompress(waiting, missing)
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _piece(self) -> bytes:
        while self._left == 0:
            self._file.seek(4, os.SEEK_CUR)
            self._left, kind = struct.unpack(">I4s", _exactly(self._file, 8))
            if kind != b"IDAT":
                raise ValueError("image file is truncated")
        piece = _exactly(self._file, min(self._left, _PIECE))
        self._left -= len(piece)
        return piece


def _png(
    size: tuple[int, int], bits: int, colour: int, chunks: bytes, rows: bytes
) -> Image.Image:
    header = struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0)
    content = (
        _PNG_BEGINS
        + _chunk(b"IHDR", header)
        + chunks
        + _chunk(b"IDAT", zlib.compress(rows, 0))
        + _chunk(b"IEND", b"")
    )
    part = Image.open(io.BytesIO(content), formats=("PNG",))
    part.load()
    return part


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def _exactly(file: Any, count: int) -> bytes:
    content = file.read(count)
    if len(content) < count:
        raise ValueError("image file is truncated")
    return content


def _tiff_parts(file: Any, image: Any, limit: int) -> Parts:
    """Strips or tiles, each as it is stored."""
    tags = image.tag_v2
    if tags.get(284, 1) != 1:
        raise NotInParts("its colours are stored one after the other")
    if max(tags.get(258, (1,))) > 8:
        raise NotInParts("it has more than 8 bits a channel")
    if tags.get(259) == _OLD_JPEG:
        raise NotInParts("its parts are no files by themselves")
    tiled = 324 in tags
    names = (324, 325) if tiled else (273, 279)
    offsets, counts = (tags.get(tag, ()) for tag in names)
    width, height = _stored_size(image)
    wide = tags[322] if tiled else width
    high = tags[323] if tiled else min(tags.get(278, height), height)
    if not (wide > 0 and high > 0 and wide * high <= limit):
        raise NotInParts("it is stored in one part, or in few")
    across, down = -(-width // wide), -(-height // high)
    if not across * down == len(offsets) == len(counts) or len(offsets) > _MOST_PARTS:
        raise NotInParts("it is stored in parts that do not make it up")
    for index, (offset, count) in enumerate(zip(offsets, counts, strict=True)):
        left, top = index % across * wide, index // across * high
        # Whatever is said of it, it takes not much more room than what it becomes.
        if count > 16 * wide * high + _PIECE:
            raise ValueError("broken TIFF file (length of a part)")
        file.seek(offset)
        rows = high if tiled else min(high, height - top)
        yield left, top, _tiff(tags, (wide, rows), _exactly(file, count))


def _tiff(tags: Any, size: tuple[int, int], content: bytes) -> Image.Image:
    header = tags.prefix + (b"*\0" if tags.prefix == b"II" else b"\0*")
    own = TiffImagePlugin.ImageFileDirectory_v2(header + b"\0\0\0\0")
    for tag in _TIFF_TAGS:
        if tag in tags:
            own.tagtype[tag] = tags.tagtype[tag]
            own[tag] = tags[tag]
    own[256], own[257], own[278] = size[0], size[1], size[1]
    own[279] = len(content)
    # It becomes the place behind the directory.
    own[273] = 0
    file = io.BytesIO()
    own.save(file)
    file.write(content)
    file.seek(0)
    part = Image.open(file, formats=("TIFF",))
    part.load()
    return part
