"""Formats of image files: which can be read here, and what the others would need."""

import functools

# Pillow knows many more, some of which start other programs.
_ALWAYS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")

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
        "install pillow-heif, or convert it to JPEG",
    ),
}

# Enough for all the brands that a file names.
_HEAD = 64


@functools.cache
def readable_formats():
    """The formats that can be read with what is installed, as Pillow calls them.

    Returns:
        tuple of str.
    """
    from PIL import features

    formats = list(_ALWAYS)
    if "avif" in features.get_supported():
        formats.append("AVIF")
    try:
        import pillow_heif
    except ImportError:
        return tuple(formats)
    pillow_heif.register_heif_opener()
    return (*formats, "HEIF")


def missing_reader(path):
    """What it takes to read an image for whose format something is not installed.

    Args:
        path: path of a file, or its content as `bytes`.

    Returns:
        str, or None where that is not what is wrong with it.
    """
    head = _head(path)
    if head[4:8] != b"ftyp":
        return None
    # The length of this box, its name, the brand, its version, and others like it.
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[start : start + 4] for start in range(16, end, 4))}
    for name, (own_brands, advice) in _SOMETIMES.items():
        if brands & own_brands and name not in readable_formats():
            return advice
    return None


def _head(path):
    if isinstance(path, bytes):
        return path[:_HEAD]
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD)
    except (OSError, ValueError):
        # What is wrong with it is told by whoever reads the image.
        return b""
