"""Where the images of a run are, by the paths that it names, and where they are now."""

import dataclasses
import glob
import ntpath
import os
import pathlib
import posixpath
import re
from types import ModuleType
from typing import Any

from semppl_keras.data import Dataset, NamedDataset
from semppl_keras.data.datasets.specs import divided
from semppl_keras.data.images.source_names import (
    RECORD_KINDS,
    TABLE_ENDINGS,
    kind_and_rest,
)
from semppl_keras.runs.errors import RunError

_LONGEST_NAME = 4096


def source_paths(dataset: Dataset) -> dict[str, str]:
    """By role the path of each source of a data set that has one."""
    paths = {}
    for role, source in dataset.sources.items():
        kind, path = _divided(dataset, source)
        if kind != "tfds":
            paths[role] = path
    return paths


def root_of(dataset: Dataset) -> str | None:
    """The folder in which all of its sources are; None where there is none."""
    paths = list(source_paths(dataset).values())
    if not paths:
        return None
    system = _system_of(paths[0])
    paths = [system.normpath(path) for path in paths]
    if len(set(paths)) == 1:
        # A folder is one itself, of which the images are called.
        return paths[0]
    try:
        return system.commonpath(paths)
    except ValueError:
        # On two drives.
        return None


def short_name(name: str, root: str | None) -> str:
    """A path below a folder without this folder, with slashes; of others the last
    part; what is no path as it is."""
    system = _system_of(name)
    if not system.isabs(name):
        return name
    path = system.normpath(name)
    below = None if root is None else root.rstrip("/\\") + system.sep
    if below is not None and path.startswith(below):
        return path[len(below) :].replace(system.sep, "/")
    return system.basename(path)


def is_plain_name(name: str) -> bool:
    """Whether a text is no path that leads out of the folder that it is below."""
    return (
        0 < len(name) <= _LONGEST_NAME
        and "\0" not in name
        and not name.startswith(("/", "\\"))
        and not ntpath.splitdrive(name)[0]
        and ".." not in re.split(r"[/\\]", name)
    )


def is_there(dataset: Dataset, role: str) -> bool:
    """Whether something is where a source of a data set is said to be."""
    kind, path = _divided(dataset, dataset.sources[role])
    if kind == "tfds":
        return True
    if kind in RECORD_KINDS:
        return bool(glob.glob(path)) or os.path.exists(path)
    return os.path.exists(path)


def moved(dataset: Dataset, photos: str | os.PathLike[str]) -> Dataset:
    """The same data set with its sources in another folder.

    There they have the same places as in the folder that all of them were in, or are
    called as they were.

    Args:
        dataset: Of a run.
        photos: Folder.

    Raises:
        RunError: They are not there.
    """
    check_is_folder(photos)
    looked = []
    for layout in _layouts(dataset):
        candidate = _placed(dataset, pathlib.Path(photos), layout)
        gone = [role for role in candidate.sources if not is_there(candidate, role)]
        if not gone:
            return candidate
        looked.append(candidate.sources[gone[0]])
    raise RunError(
        "--photos must be a folder in which the images of the run are called as they "
        f"were: {', '.join(dataset.sources.values())}. Received: "
        f"{os.fsdecode(photos)!r}; looked for {' and '.join(dict.fromkeys(looked))}."
    )


def check_is_folder(photos: str | os.PathLike[str]) -> None:
    """Raises a `RunError` where what is said to hold the images of a run is none."""
    if not os.path.isdir(photos):
        raise RunError(
            "--photos must be a folder with the images of the run. Received: "
            f"{os.fsdecode(photos)!r}, which is none."
        )


def _layouts(dataset: Dataset) -> list[dict[str, tuple[str, ...]]]:
    """By role the parts of a path below a folder, in the order in which to look."""
    paths = {
        role: _system_of(path).normpath(path)
        for role, path in source_paths(dataset).items()
    }
    layouts = []
    root = root_of(dataset)
    if root is not None:
        above = len(parts_of(root))
        layouts.append({role: parts_of(path)[above:] for role, path in paths.items()})
    layouts.append({role: parts_of(path)[-1:] for role, path in paths.items()})
    files = [role for role, path in paths.items() if _is_file(dataset, role, path)]
    return [
        layout
        for layout in layouts
        # A file is none of a folder's, and nothing is looked for above that.
        if all(layout[role] for role in files)
        and all(".." not in parts for parts in layout.values())
    ]


def _placed(
    dataset: Dataset, photos: pathlib.Path, layout: dict[str, tuple[str, ...]]
) -> Dataset:
    sources: dict[str, Any] = {}
    for role, source in dataset.sources.items():
        kind, _ = _divided(dataset, source)
        place = source
        if role in layout:
            path = os.path.abspath(photos.joinpath(*layout[role]))
            place = path if kind is None else f"{kind}:{path}"
        sources["spec" if isinstance(dataset, NamedDataset) else role] = place
    return dataclasses.replace(dataset, **sources)


def _divided(dataset: Dataset, source: str) -> tuple[str | None, str]:
    """The kind of a source, where it has one, and the rest."""
    of_name = isinstance(dataset, NamedDataset)
    return divided(source) if of_name else kind_and_rest(source)


def _is_file(dataset: Dataset, role: str, path: str) -> bool:
    kind, _ = _divided(dataset, dataset.sources[role])
    return kind in ("npz", *RECORD_KINDS) or path.lower().endswith(TABLE_ENDINGS)


def parts_of(path: str) -> tuple[str, ...]:
    """The folders of a path and what is in the last, as on the machine it is from."""
    windows = _system_of(path) is ntpath
    pure = pathlib.PureWindowsPath(path) if windows else pathlib.PurePosixPath(path)
    return pure.parts


def _system_of(path: str) -> ModuleType:
    """How a path is divided: as on the machine that it is from."""
    return ntpath if re.match(r"[A-Za-z]:[\\/]|\\\\", path) else posixpath
