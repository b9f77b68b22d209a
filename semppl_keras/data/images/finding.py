"""Which image files there are in folders."""

import collections
import collections.abc
import os
import pathlib

from semppl_keras.data.images.drawings import ENDING as DRAWING
from semppl_keras.data.images.drawings import NEEDS, can_draw
from semppl_keras.data.images.formats import begins_as_image
from semppl_keras.own_output import is_own_folder, is_own_picture

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


def find_images(
    folder: str | os.PathLike[str],
    passed_over: list[pathlib.Path] | None = None,
    unread: list[pathlib.Path] | None = None,
) -> list[pathlib.Path]:
    """The image files in a folder and in those in it.

    What begins with a dot is passed over, and so is what this package has written:
    folders and pictures, see `own_output`. Links to folders are followed, each folder
    once, so that one that leads back does no harm.

    Args:
        folder: path.
        passed_over: list, to which the paths of what this package has written are
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
    found: list[pathlib.Path] = []
    seen: set[tuple[int, int]] = set()
    folders: list[pathlib.Path] = [folder]
    linked: list[pathlib.Path] = []
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
        if current != folder and is_own_folder(current):
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


def find_classes(
    folder: str | os.PathLike[str],
    passed_over: list[pathlib.Path] | None = None,
    unread: list[pathlib.Path] | None = None,
    empty: dict[str, list[pathlib.Path]] | None = None,
    loose: list[pathlib.Path] | None = None,
) -> dict[str, list[pathlib.Path]]:
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
        elif is_own_folder(child):
            passed_over.append(child)
        else:
            others: list[pathlib.Path] = []
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
            f"class. Received: {received}.{missing_for(unread)}"
        )
    return classes


def by_ending(paths: collections.abc.Iterable[pathlib.Path]) -> str:
    """How many files there are of each ending, such as "3 .pdf, 1 hidden".

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


def missing_for(paths: collections.abc.Iterable[pathlib.Path]) -> str:
    """What it takes to read those that are no images here, a sentence or nothing.

    Args:
        paths: iterable of `pathlib.Path`.
    """
    drawings = any(path.suffix.lower() == DRAWING for path in paths)
    return f" {NEEDS}." if drawings and not can_draw() else ""


def _is_image(path: pathlib.Path) -> bool:
    ending = path.suffix.lower()
    if ending in ENDINGS or (ending == DRAWING and can_draw()):
        return True
    return _has_no_ending(path) and begins_as_image(path)


def _has_no_ending(path: pathlib.Path) -> bool:
    # What is a number belongs to the name: "scan.001", "1.2.840.10008".
    return not path.suffix or path.suffix[1:].isdigit()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_own_picture(path: pathlib.Path, entry: os.DirEntry[str]) -> bool:
    try:
        # Opening a pipe might never end.
        return entry.is_file() and is_own_picture(path)
    except OSError:  # which reading it will tell
        return False
