"""A finished run in one file, for another place or another person."""

import os
import pathlib
import shutil
import zipfile

from semppl_keras.reports.counted import counted
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.options.pack import PackOptions
from semppl_keras.runs.safety.out_paths import check_can_write
from semppl_keras.runs.safety.packed_runs import FILES, MOST_BYTES, TEXTS
from semppl_keras.runs.telling import tell, told
from semppl_keras.runs.whole_files import whole_file

# Before it no archive has a date.
_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX, _PLAIN_FILE = 3, 0o100644
_NAMED = 5


@told
def pack(
    run: str | os.PathLike[str],
    file: str | os.PathLike[str],
    *,
    trust: bool = False,
    verbose: int = 1,
) -> pathlib.Path:
    """Writes what later commands need of a finished run to one file.

    They take this file in the place of the folder. The same run makes the same file.

    Args:
        run: Run folder.
        file: To write, of a name that ends in .zip; nothing is overwritten.
        trust: Whether the run may be somebody else's, and links in it be followed.
        verbose: 0 to say nothing, 1 for what the command says, 2 for more.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        RunError: A value is wrong, or what was asked for cannot be done.
        TypeError: A value is of the wrong kind.

    Example:
        >>> pack("runs/photos", "photos.zip")
        >>> label("photos.zip", "new_photos")
    """
    return pack_with(PackOptions.of(run=run, file=file, trust=trust))


def pack_with(options: PackOptions) -> pathlib.Path:
    """The same, of options that are filled already."""
    target = pathlib.Path(options.file)
    check_can_write(target, "FILE")
    if target.exists():
        raise RunError(f"{target} exists already. Delete it, or choose another FILE.")
    finished = FinishedRun(options.run, trust=options.trust)
    folder = finished.folder
    names = [name for name in FILES if (folder / name).is_file()]
    size = sum((folder / name).stat().st_size for name in names)
    if size > MOST_BYTES:
        raise RunError(
            f"A run must have at most {MOST_BYTES:,} bytes to be packed. Received: "
            f"{str(finished.named)!r}, {size:,}. Copy the folder."
        )
    _write(target, folder, names)
    tell(
        f"{target}: {counted(len(names), 'file', 'files')} of {finished.named}, "
        f"{target.stat().st_size / 1e6:.1f} MB"
    )
    _tell_left_out(folder, names)
    kept = finished.images.kept
    if kept is not None:
        tell(f"Note: there are images of the run in it, {kept.told()}.")
    return target


def _write(target: pathlib.Path, folder: pathlib.Path, names: list[str]) -> None:
    with whole_file(target) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, _DATE)
            # The same file from every system.
            entry.create_system, entry.external_attr = _UNIX, _PLAIN_FILE << 16
            if name in TEXTS:
                entry.compress_type = zipfile.ZIP_DEFLATED
            entry.file_size = (folder / name).stat().st_size
            with (
                (folder / name).open("rb") as source,
                archive.open(entry, "w") as file,
            ):
                shutil.copyfileobj(source, file, 2**20)


def _tell_left_out(folder: pathlib.Path, names: list[str]) -> None:
    """Says what of the folder is not in the file."""
    packed = {name.split("/")[0] for name in names}
    others = sorted(path.name for path in folder.iterdir() if path.name not in packed)
    heads = folder / "heads"
    if heads.is_dir():
        others += sorted(
            f"heads/{path.name}"
            for path in heads.iterdir()
            if f"heads/{path.name}" not in names
        )
    if others:
        more = ", ..." if len(others) > _NAMED else ""
        tell(
            f"{counted(len(others), 'other is', 'others are')} left out, which no "
            f"later command needs: {', '.join(others[:_NAMED])}{more}"
        )
