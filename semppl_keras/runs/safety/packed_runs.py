"""Packed runs, which may be somebody else's: what is known of one is unpacked."""

import os
import pathlib
import shutil
import stat
import zipfile
import zlib

from semppl_keras.evaluation.classifier_titles import TITLES
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.kept_images import IMAGES
from semppl_keras.runs.noted_files import LABELLED, TESTED, UNLABELLED
from semppl_keras.runs.options.pack import ENDING
from semppl_keras.runs.run_backbone import BACKBONE
from semppl_keras.runs.run_models import (
    CLASSIFIER,
    FROZEN,
    OF_THEIR_OWN,
    TUNED,
)

# What later commands need of a run, in the order in which it is packed; texts, which
# are compressed, first.
TEXTS = (
    "run.json",
    "metrics.json",
    "history.json",
    "skipped.tsv",
    "classifier.json",
    LABELLED,
    UNLABELLED,
    TESTED,
)
FILES = (
    *TEXTS,
    "report.png",
    IMAGES,
    "model.keras",
    BACKBONE,
    FROZEN,
    TUNED,
    CLASSIFIER,
    *(f"{name}.keras" for name in OF_THEIR_OWN),
    *(f"heads/{name}.keras" for name in TITLES),
)

# Of the file, and of what is in it.
MOST_BYTES = 2**33
# Networks and images are packed as they are; texts become no more than this smaller.
_MOST_COMPRESSION = 10
FREE_BYTES = 2**26
_READ_AT_ONCE = 2**20


def is_packed(run: pathlib.Path) -> bool:
    """Whether what is given for a run is a file, by its name."""
    return run.suffix.lower() == ENDING and run.is_file()


def unpack(path: pathlib.Path, folder: pathlib.Path) -> None:
    """Unpacks a run, once all that the file announces is known to be harmless.

    Args:
        path: Of the file.
        folder: Where to; made here.

    Raises:
        RunError: The file is none of `pack`, is damaged, or holds more or something
            else.
    """
    held = os.path.getsize(path)
    if held > MOST_BYTES:
        raise _refused(path, f"have at most {MOST_BYTES:,} bytes", f"{held:,}")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(path, entries, held)
            folder.mkdir(parents=True)
            _check_room(path, folder, entries)
            for entry in entries:
                _write(archive, entry, folder / entry.filename)
    # Encrypted data, or packed in a way that is not known here, is the last.
    except (
        OSError,
        ValueError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
    ) as error:
        if isinstance(error, RunError):
            raise
        raise _refused(
            path,
            "be a run that semppl pack has written",
            f"a file that cannot be read ({error})",
        ) from error


def _check_entries(
    path: pathlib.Path, entries: list[zipfile.ZipInfo], held: int
) -> None:
    names = [entry.filename for entry in entries]
    for entry in entries:
        # Python divides names as the system does, and cuts them at a zero byte.
        name = entry.orig_filename
        if name not in FILES or name != entry.filename:
            raise _refused(
                path, "hold the known files of a run and nothing else", repr(name)
            )
        if names.count(name) > 1:
            raise _refused(path, "hold each file once", f"{name!r} more than once")
        mode = entry.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise _refused(
                path, "hold plain files", f"{name!r}, which is a link or a device"
            )
        if entry.flag_bits & 1:
            raise _refused(path, "hold plain files", f"{name!r}, which is encrypted")
    announced = sum(entry.file_size for entry in entries)
    if announced > MOST_BYTES:
        raise _refused(
            path, f"hold at most {MOST_BYTES:,} bytes", f"{announced:,} when unpacked"
        )
    if announced > _MOST_COMPRESSION * held + FREE_BYTES:
        raise _refused(
            path,
            "hold what it announces",
            f"{held:,} bytes that would become {announced:,}",
        )


def _check_room(
    path: pathlib.Path, folder: pathlib.Path, entries: list[zipfile.ZipInfo]
) -> None:
    needed, free = sum(one.file_size for one in entries), shutil.disk_usage(folder).free
    if needed > free:
        raise RunError(
            f"{str(path)!r} must have {needed:,} bytes of room to be unpacked. "
            f"Received: {free:,} in {str(folder.parent.parent)!r}. Make room, or set "
            "TMPDIR to a folder that has some."
        )


def _write(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: pathlib.Path
) -> None:
    target.parent.mkdir(exist_ok=True)
    # It gives no more than was announced, and fails where that is not what is there.
    with archive.open(entry) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, _READ_AT_ONCE)


def _refused(path: pathlib.Path, expected: str, received: str) -> RunError:
    return RunError(
        f"{str(path)!r} must {expected}. Received: {received[:300]}. It was not "
        "unpacked."
    )
