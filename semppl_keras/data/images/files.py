"""Image files as arrays: which there are, and one way of reading each of them."""

import collections
import functools
import io
import os
import pathlib
import stat
from typing import NamedTuple

import numpy as np

from semppl_keras.data.images.deep_images import (
    deep_values,
    is_deep,
    is_grey,
    tells_range,
)
from semppl_keras.data.images.formats import (
    begins_as_image,
    missing_reader,
    readable_formats,
)
from semppl_keras.data.images.value_ranges import kind_of, to_eight_bits

# Those too that cannot be read everywhere: what cannot be read is told by its name.
ENDINGS = (
    ".apng",
    ".avif",
    ".bmp",
    ".gif",
    ".heic",
    ".heif",
    ".hif",
    ".j2c",
    ".j2k",
    ".jfif",
    ".jp2",
    ".jpc",
    ".jpe",
    ".jpeg",
    ".jpf",
    ".jpg",
    ".jpx",
    ".mpo",
    ".pbm",
    ".pfm",
    ".pgm",
    ".png",
    ".pnm",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)

# Of files that are none so many endings are told.
_MOST_ENDINGS = 8

# What is beside the `run.json` of a run of `semppl train`, from its first step on.
_RUN_PARTS = ("checkpoints", "logs", "metrics.json", "model.keras")

# What the pictures that the commands draw say of themselves, as PNG text that stands
# before the pixels.
OWN_PICTURES = {"Software": "semppl_keras"}
_OWN_BEGINS = b"Software\0semppl_keras"
_PNG_BEGINS = 128

_GREY_MODES = ("1", "L", "LA", "La")
_TRANSPARENT_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_EXIF_ORIENTATION = 0x0112
_JPEG_BEGINS = b"\xff\xd8\xff"

# A format that can leave out pixels while it decodes, and the resizing after it, keep
# this many times the pixels per side that are wanted: less would show.
_SPARE = 2

# Decoded at an eighth of its size, a JPEG still takes time by all its pixels: so many
# times what an image may have otherwise, enough for 300 megapixels.
_JPEG_PIXELS = 4


class UnreadableImage(ValueError):
    """A file that gives no image.

    Args:
        path: str or path, what was read.
        reason: str, why it could not be.
    """

    def __init__(self, path, reason):
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self):
        return f"{str(self.path)!r} cannot be read as an image: {self.reason}"


def find_images(folder, passed_over=None, unread=None):
    """The image files in a folder and in those in it.

    What begins with a dot is passed over, and so is what the commands have written:
    the folders of runs in the folder, and their pictures (`OWN_PICTURES`). Links to
    folders are followed, each folder once, so that one that leads back does no harm.

    Args:
        folder: path.
        passed_over: list, to which the paths of what the commands have written are
            appended.
        unread: list, to which the paths of the files are appended that are no images
            for all that can be told.

    Returns:
        Sorted list of `pathlib.Path`, told by their endings (`ENDINGS`), those without
        one by their first bytes; a folder that may not be looked into stands among
        them for itself.

    Raises:
        FileNotFoundError: if there is no such folder.
        PermissionError: if it may not be looked into.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There must be a folder at {str(folder)!r}. Received: "
            + ("a file." if folder.exists() else "a path where nothing is.")
        )
    # Not resolved: the names stay those that the user knows.
    found, seen = [], set()
    folders, linked = [folder], []
    passed_over = [] if passed_over is None else passed_over
    unread = [] if unread is None else unread
    while folders or linked:
        # Links last: what lies in the folder goes by its own name.
        current = folders.pop() if folders else linked.pop()
        try:
            status = os.stat(current)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError:
            if current == folder:
                raise
            found.append(current)
            continue
        if current != folder and _is_run({entry.name for entry in entries}):
            passed_over.append(current)
            continue
        for entry in reversed(entries):
            path = current / entry.name
            hidden = entry.name.startswith(".")
            if _is_folder(entry):
                if not hidden:
                    (linked if entry.is_symlink() else folders).append(path)
            elif hidden or not _is_image(path):
                unread.append(path)
            else:
                own = _is_own_picture(path, entry)
                (passed_over if own else found).append(path)
    return sorted(found)


def find_classes(folder, passed_over=None, unread=None, empty=None, loose=None):
    """The image files of each class, which has a folder of its own.

    Args:
        folder: path of a folder with a subfolder for each class; images may lie
            deeper.
        passed_over, unread: as for `find_images`.
        empty: dict, to which the names of folders without images are added, with the
            paths in them that are `unread`.
        loose: list, to which the paths of images are appended that lie in no folder of
            a class.

    Returns:
        dict from class name to a sorted list of paths, in the order of the names.
        Names that begin with a dot, and folders without images, are passed over.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it has no subfolder with images.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        # Tells what is wrong with it.
        find_images(folder)
    passed_over = [] if passed_over is None else passed_over
    unread = [] if unread is None else unread
    empty = {} if empty is None else empty
    loose = [] if loose is None else loose
    classes = {}
    for child in sorted(folder.iterdir()):
        hidden = child.name.startswith(".")
        if not child.is_dir():
            (unread if hidden or not _is_image(child) else loose).append(child)
        elif hidden:
            continue
        elif _is_run(
            {name for name in ("run.json", *_RUN_PARTS) if (child / name).exists()}
        ):
            passed_over.append(child)
        else:
            others = []
            if paths := find_images(child, passed_over, others):
                classes[child.name] = paths
            else:
                empty[child.name] = others
            unread += others
    if not classes:
        received = f"none with files that end in {', '.join(ENDINGS)}"
        if loose:
            received += f"; images that lie in no subfolder: {len(loose):,}"
        if unread:
            received += f"; other files: {by_ending(unread)}"
        raise ValueError(
            f"The folder {str(folder)!r} must have a subfolder of images for each "
            f"class. Received: {received}."
        )
    return classes


def by_ending(paths):
    """How many files there are of each ending, such as "3 .svg, 1 hidden".

    Args:
        paths: iterable of `pathlib.Path`, at least one.
    """
    counts = collections.Counter(
        "hidden"
        if path.name.startswith(".")
        else "without an ending"
        if _has_no_ending(path)
        else path.suffix.lower()
        for path in paths
    )
    most = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    told = [f"{count:,} {ending}" for ending, count in most[:_MOST_ENDINGS]]
    rest = sum(count for _, count in most[_MOST_ENDINGS:])
    return ", ".join(told) + (f", {rest:,} others" if rest else "")


class ReadImage(NamedTuple):
    """An image, and what of it is not as a glance at the array would have it.

    Args:
        pixels: `(h, w, channels)` uint8.
        beyond: bool, whether values lay beyond the range of its set, so that they
            count as its ends.
        several: bool, whether the file holds several frames or pages, of which it is
            the first.
    """

    pixels: np.ndarray
    beyond: bool = False
    several: bool = False


def read_image(path, size=None, channels=3, ranges=None):
    """Reads an image as it is meant to be seen.

    JPEG, PNG, WebP, BMP, TIFF, GIF and PNM, of several frames the first; JPEG 2000 and
    AVIF where Pillow reads them, HEIC where pillow-heif is installed. Turned as its
    EXIF data say; transparent parts on white; CMYK as RGB, without a colour profile.
    Deep images, of more than 8 bits a channel, are brought to 8 bits by the range of
    the set that they are of. Without one, integers are scaled by all 16 bits, floats
    that lie in [0, 1] or in [0, 255] brought to the latter.

    Args:
        path: path of a file, or its content as `bytes`.
        size: int, the central square is resized to it; where it is much smaller than
            the image, JPEG is decoded at a reduced size, down to an eighth per side.
            None for the size that the image has.
        channels: 1 or 3.
        ranges: `ValueRanges`, of the set that the image is of; None for none.

    Returns:
        `(h, w, channels)` uint8; with `size` h = w = size.

    Raises:
        UnreadableImage: if the file is empty, broken, no image, gone or not allowed to
            be read; if its image has values of no known range; or if more pixels
            would have to be decoded than Pillow takes for safe
            (`PIL.Image.MAX_IMAGE_PIXELS`). That counts those of the reduced size
            where JPEG is decoded at one, of which a file may have four times as many
            as that; of a progressive JPEG, which is unpacked whole, it counts all.
    """
    return read_whole(path, size, channels, ranges).pixels


def read_whole(path, size=None, channels=3, ranges=None):
    """As `read_image`, with what is to be told of it: a `ReadImage`."""
    _check_size_and_channels(size, channels)
    with _opened(path) as image, _reasons(path):
        all_pixels = image.width * image.height
        mode = "RGB" if channels == 3 else "L"
        if size is not None:
            image.draft(mode, (_SPARE * size, _SPARE * size))
        _check_pixels(path, image, all_pixels)
        beyond = False
        values = deep_values(image, lambda: _opened(path))
        image.load()
        orientation = _orientation(image)
        if values is None:
            pixels = _on_white(image)
        else:
            pixels, beyond = _shallow(image, values, ranges)
        pixels = pixels.convert(mode)
        if size is not None:
            pixels = _central_square(pixels, size)
        pixels = _turned(pixels, orientation)
        array = np.array(pixels).reshape(pixels.height, pixels.width, channels)
        return ReadImage(array, beyond, _has_several(image))


def value_extent(path):
    """The least and the greatest value of a deep image.

    Args:
        path: as `read_image` takes it.

    Returns:
        "integers" or "floats", and the two numbers; None of an image of 8 bits a
        channel, and of one in a format that tells the range of its values.

    Raises:
        UnreadableImage: as `read_image`; also if there are values that are no numbers.
    """
    with _reasons(path):
        # Of which most sets are, and all of 8 bits.
        if _beginning(path) == _JPEG_BEGINS:
            return None
    with _opened(path) as image, _reasons(path):
        if not is_deep(image) or tells_range(image):
            return None
        _check_pixels(path, image, image.width * image.height)
        values = deep_values(image, lambda: _opened(path))
        if values.shape[-1:] in ((2,), (4,)) and values.ndim == 3:
            values = values[..., :-1]
        low, high = values.min().item(), values.max().item()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise UnreadableImage(_name(path), "it holds values that are no numbers")
        return kind_of(values), low, high


def resize_image(array, size=None, channels=3):
    """Brings pixels to the form that `read_image` gives.

    Args:
        array: `(h, w)`, `(h, w, 1)` or `(h, w, 3)` in [0, 255].
        size: int, the central square is resized to it; None to leave it.
        channels: 1 or 3.

    Returns:
        `(h, w, channels)` uint8.
    """
    from PIL import Image

    _check_size_and_channels(size, channels)
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    image = Image.fromarray(np.rint(array).astype("uint8"))
    image = image.convert("RGB" if channels == 3 else "L")
    if size is not None and image.size != (size, size):
        image = _central_square(image, size)
    return np.array(image).reshape(image.height, image.width, channels)


def image_header(path):
    """What a file tells about its image before it is decoded.

    Args:
        path: as `read_image` takes it.

    Returns:
        (width, height, whether it has colours), the sides before any turn.

    Raises:
        UnreadableImage: as `read_image`.
    """
    with _opened(path) as image, _reasons(path):
        coloured = image.mode not in _GREY_MODES and not is_grey(image)
        return image.width, image.height, coloured


def _is_image(path):
    if path.suffix.lower() in ENDINGS:
        return True
    return _has_no_ending(path) and begins_as_image(path)


def _has_no_ending(path):
    # What is a number belongs to the name: "scan.001", "1.2.840.10008".
    return not path.suffix or path.suffix[1:].isdigit()


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_run(names):
    return "run.json" in names and any(name in names for name in _RUN_PARTS)


def _is_own_picture(path, entry):
    if path.suffix.lower() != ".png":
        return False
    try:
        # Opening a pipe might never end.
        if not entry.is_file():
            return False
        with open(path, "rb") as file:
            return _OWN_BEGINS in file.read(_PNG_BEGINS)
    except OSError:  # which reading it will tell
        return False


def _check_size_and_channels(size, channels):
    if size is not None and (not isinstance(size, int | np.integer) or size < 1):
        raise ValueError(
            f"`size` must be a positive integer or None. Received: size={size!r}."
        )
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: channels={channels!r}.")


def _opened(path):
    """The image behind a path or `bytes`, none of it decoded."""
    with _reasons(path):
        beginning = _beginning(path)
        return _identified(
            io.BytesIO(path) if isinstance(path, bytes) else path, beginning
        )


def _beginning(path):
    """The first bytes of what can be read at all."""
    if isinstance(path, bytes):
        if not path:
            raise UnreadableImage(_name(path), "it is empty")
        return path[: len(_JPEG_BEGINS)]
    status = os.stat(path)
    # Reading a pipe or a device might never end.
    if not stat.S_ISREG(status.st_mode):
        is_folder = stat.S_ISDIR(status.st_mode)
        raise UnreadableImage(
            path, "it is a folder" if is_folder else "it is no regular file"
        )
    if status.st_size == 0:
        raise UnreadableImage(path, "it is empty")
    with open(path, "rb") as file:
        return file.read(len(_JPEG_BEGINS))


def _identified(file, beginning):
    from PIL import Image, JpegImagePlugin, UnidentifiedImageError

    if beginning != _JPEG_BEGINS:
        return Image.open(file, formats=readable_formats())
    # `Image.open` warns of many pixels, or refuses them, before there is a way to say
    # that few are wanted.
    try:
        return JpegImagePlugin.jpeg_factory(file)
    except SyntaxError as error:
        raise UnidentifiedImageError(f"{error}") from error


class _reasons:
    """Tells whatever goes wrong in reading a file as an `UnreadableImage`."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        # What a broken file makes a decoder raise is of every kind: OSError,
        # SyntaxError, struct.error, IndexError, MemoryError ...
        if not isinstance(error, Exception) or isinstance(error, UnreadableImage):
            return
        reason = _reason(self._path, error)
        raise UnreadableImage(_name(self._path), reason) from error


def _name(path):
    return "bytes" if isinstance(path, bytes) else path


def _reason(path, error):
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, FileNotFoundError):
        other = _other_case(pathlib.Path(path))
        return "it is not there" + ("" if other is None else f", but {str(other)!r} is")
    if isinstance(error, PermissionError):
        return "it may not be read"
    missing = missing_reader(path)
    if missing is not None:
        return missing
    if isinstance(error, UnidentifiedImageError):
        return f"it is none of {', '.join(readable_formats())}"
    if isinstance(
        error, (Image.DecompressionBombError, Image.DecompressionBombWarning)
    ):
        return _too_many_pixels(Image.MAX_IMAGE_PIXELS)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(f"{error}".split()) or type(error).__name__


def _other_case(path):
    """What is there and differs from a path in upper and lower case alone, or None."""
    if os.path.exists(path):
        return path
    if path.parent == path:
        return None
    parent = _other_case(path.parent)
    if parent is None or not os.path.isdir(parent):
        return None
    try:
        names = _names_by_case(parent, os.stat(parent).st_mtime_ns)
    except OSError:  # it may not be looked into
        return None
    name = names.get(path.name.casefold())
    if name is None or parent / name == path:  # a link to nothing finds itself
        return None
    return parent / name


# A table may name many files that are not there, of one folder.
@functools.lru_cache(maxsize=4)
def _names_by_case(folder, changed):
    return {name.casefold(): name for name in os.listdir(folder)}


def _too_many_pixels(limit):
    return (
        f"it has more than {limit:,} pixels, which decoding would have to hold in "
        "memory"
    )


def _check_pixels(path, image, all_pixels):
    """Refuses an image of which more pixels are to be decoded than is safe."""
    from PIL import Image

    # Pillow itself refuses twice as many, and warns of these.
    limit = Image.MAX_IMAGE_PIXELS
    if limit is None:
        return
    decoded = image.width * image.height
    if "progressive" in image.info:
        decoded = all_pixels
    for pixels, most in ((decoded, limit), (all_pixels, _JPEG_PIXELS * limit)):
        if pixels > most:
            raise UnreadableImage(_name(path), _too_many_pixels(most))


def _orientation(image):
    # Read once it is decoded, since what Pillow turns by itself it then calls upright.
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:
        # Broken notes about an image are no reason to do without it.
        return 1


def _turned(image, orientation):
    from PIL.Image import Transpose

    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)


def _on_white(image):
    from PIL import Image

    if image.mode not in _TRANSPARENT_MODES and "transparency" not in image.info:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _shallow(image, values, ranges):
    """A deep image with 8 bits a channel, and whether values lay beyond the range."""
    from PIL import Image

    # What tells its range is no matter of the set.
    ranges = None if tells_range(image) else ranges
    alpha = None
    if values.ndim == 3 and values.shape[-1] in (2, 4):
        values, alpha = values[..., :-1], to_eight_bits(values[..., -1])[0]
    elif image.format == "PNG" and "transparency" in image.info:
        # One value, or one of each colour, stands for nothing.
        clear = np.equal(values, image.info["transparency"])
        alpha = np.where(clear.all(-1) if clear.ndim == 3 else clear, 0, 255)
    pixels, beyond = to_eight_bits(values, ranges)
    pixels = Image.fromarray(pixels.squeeze(-1) if pixels.shape[2:] == (1,) else pixels)
    if alpha is None:
        return pixels, beyond
    pixels = pixels.convert("RGBA")
    pixels.putalpha(Image.fromarray(alpha.astype("uint8")))
    return _on_white(pixels), beyond


def _has_several(image):
    # Phones put a second, small picture into a photograph.
    if image.format == "MPO":
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:
        # What comes after the first is no reason to do without it.
        return False


def _central_square(image, size):
    from PIL import Image

    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize(
        (size, size),
        Image.Resampling.LANCZOS,
        box=(left, top, left + side, top + side),
        reducing_gap=_SPARE,
    )
