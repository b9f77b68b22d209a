"""Formats of image files: which can be read here, and what the others would need."""

import functools
import os
import re

# Pillow knows many more, some of which start other programs.
_ALWAYS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP", "PPM")

# Those that need more than every Pillow has: the brands by which a file tells that it
# is one (ISO/IEC 14496-12, of which both are), and what someone who has some may do.
_AV1_BRANDS = {b"avif", b"avis"}
_HEVC_BRANDS = {
    b"heic",
    b"heim",
    b"heis",
    b"heix",
    b"hevc",
    b"hevm",
    b"hevs",
    b"hevx",
}
_SOMETIMES = {
    "AVIF": (
        _AV1_BRANDS,
        "it is an AVIF image, which Pillow reads from 11.3 on: pip install -U pillow, "
        "or convert it to JPEG",
    ),
    "HEIF": (
        _HEVC_BRANDS,
        "it is a HEIC image, as iPhones take them, which needs another package: pip "
        'install "semppl_keras[heif]", or convert it to JPEG',
    ),
}

_JPEG2000_BEGINS = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xffO\xffQ")
_NO_JPEG2000 = (
    "it is a JPEG 2000 image, which this Pillow was built without: pip install -U "
    "pillow, or convert it to PNG"
)

# With what files of the formats begin, of two letters alone more than these; those in
# boxes are told by their brands.
_BEGINNINGS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0|II\*\0|MM\0\*"
    rb"|P[1-6]\s+[0-9#]|P[Ff]\n[0-9]|" + b"|".join(map(re.escape, _JPEG2000_BEGINS)),
    re.DOTALL,
)

# Enough for all the brands that a file names.
_HEAD = 64


@functools.cache
def readable_formats() -> tuple[str, ...]:
    """The formats that can be read with what is installed, as Pillow calls them.

    Returns:
        tuple of str.
    """
    from PIL import features

    formats = list(_ALWAYS)
    if features.check("jpg_2000"):
        formats.append("JPEG2000")
    if "avif" in features.get_supported():
        formats.append("AVIF")
    try:
        import pillow_heif
    except ImportError:
        return tuple(formats)
    pillow_heif.register_heif_opener()
    return (*formats, "HEIF")


def missing_reader(path: str | os.PathLike[str] | bytes) -> str | None:
    """What it takes to read an image for whose format something is not installed.

    Args:
        path: path of a file, or its content as `bytes`.

    Returns:
        str, or None where that is not what is wrong with it.
    """
    head = _head(path)
    if head.startswith(_JPEG2000_BEGINS) and "JPEG2000" not in readable_formats():
        return _NO_JPEG2000
    brands = _brands(head)
    for name, (own_brands, advice) in _SOMETIMES.items():
        if brands & own_brands and name not in readable_formats():
            return advice
    return None


def begins_as_image(path: str | os.PathLike[str] | bytes) -> bool:
    """Whether the first bytes of a file are those of an image, readable or not.

    Args:
        path: path of a file that may be anything.
    """
    head = _head(path)
    known = set().union(*(brands for brands, _ in _SOMETIMES.values()))
    return _BEGINNINGS.match(head) is not None or bool(_brands(head) & known)


def _brands(head: bytes) -> set[bytes]:
    """The names of what a file is, where its content lies in boxes."""
    if head[4:8] != b"ftyp":
        return set()
    # The length of this box, its name, the brand, its version, and others like it.
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[start : start + 4] for start in range(16, end, 4))}


def _head(path: str | os.PathLike[str] | bytes) -> bytes:
    if isinstance(path, bytes):
        return path[:_HEAD]
    try:
        # Opening a pipe might never end.
        if not os.path.isfile(path):
            return b""
        with open(path, "rb") as file:
            return file.read(_HEAD)
    except (OSError, ValueError):
        # What is wrong with it is told by whoever reads the image.
        return b""
