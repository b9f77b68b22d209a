"""The images of a run in another folder, each found by what it is called."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from semppl_keras.data import Dataset, OwnDataset
from semppl_keras.data.images.sources import open_images
from semppl_keras.reports.counted import counted
from semppl_keras.reports.shown import shown
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.noted_files import TABLES, are_files, write_files
from semppl_keras.runs.picture_places import check_is_folder, moved, parts_of
from semppl_keras.runs.telling import tell
from semppl_keras.runs.whole_files import whole_file

# Of those that are not found, so many are named.
_MOST_NAMED = 3


@dataclasses.dataclass(frozen=True, eq=False)
class FoundFiles:
    """What a run was trained with, where it is now.

    Args:
        dataset: The run's, with tables of these files for sources.
        folder: In which the tables are, called as in a run.
        before: By the path of each file the one that it had in training.
    """

    dataset: OwnDataset
    folder: pathlib.Path
    before: Mapping[str, str]


def are_noted(dataset: OwnDataset, folder: pathlib.Path) -> bool:
    """Whether a run has noted each image file of its sources.

    Args:
        dataset: Its own.
        folder: The run's.
    """
    return all(
        are_files(source) and (folder / TABLES[role]).is_file()
        for role, source in dataset.sources.items()
    )


def find_files(
    dataset: OwnDataset,
    run: pathlib.Path,
    photos: str,
    folder: pathlib.Path,
    *,
    keep_lost: bool = False,
) -> FoundFiles:
    """Finds them below a folder, and writes tables of where they are.

    Of several files that are called alike that one is taken whose folders are called as
    they were, too.

    Args:
        dataset: The run's own, of which `are_noted`.
        run: Its folder.
        photos: Folder that they are in, however deep.
        folder: Where the tables go.
        keep_lost: Whether those that are not found stay in the tables, as files of that
            name below `photos`, which cannot be read.

    Returns:
        `FoundFiles`.

    Raises:
        RunError: There are none, or a labelled one is not found.
    """
    listed = {
        role: open_images(str((run / TABLES[role]).absolute()), role, dataset.tables)
        for role in dataset.sources
    }
    places = _Places(photos)
    before: dict[str, str] = {}
    tables: dict[str, list[tuple[str, str | None]]] = {}
    for role, images in listed.items():
        labels = images.labels or [None] * len(images.names)
        now = places.of(images.names)
        gone = [name for name in images.names if name not in now]
        if gone and (role == "labelled" or not now):
            raise RunError(
                "--photos must be a folder in which the images of the run are called "
                f"as they were. Received: {photos!r}, in which {len(gone):,} of "
                f"{len(images.names):,} {role} images are not found, such as "
                f"{_named(gone)}. Name the folder that all of them are below."
            )
        if gone:
            tell(
                f"Note: {counted(len(gone), 'file', 'files')} of the {role} images "
                f"{'is' if len(gone) == 1 else 'are'} not found in {photos}: "
                f"{_named(gone)}."
            )
        before |= {now[name]: name for name in images.names if name in now}
        tables[role] = [
            (now.get(name) or _lost(name, photos), label)
            for name, label in zip(images.names, labels, strict=True)
            if name in now or keep_lost
        ]
    for role, files in tables.items():
        write_files(folder / TABLES[role], files, dataset.tables)
    sources = {role: str((folder / TABLES[role]).absolute()) for role in tables}
    found = dataclasses.replace(
        dataset,
        unlabelled=sources["unlabelled"],
        labelled=sources["labelled"],
        test=sources.get("test"),
    )
    return FoundFiles(found, folder, before)


@contextlib.contextmanager
def found_again(
    dataset: Dataset, run: pathlib.Path, photos: str | None
) -> Iterator[Dataset]:
    """A context with the data set of a run that is not finished, in another folder.

    The run's own tables say where its images are once they were read within it: until
    then the folder may be a wrong one. Those that are not found stay in the tables, and
    are images that cannot be read until they are found in another folder.

    Args:
        dataset: The run's.
        run: Its folder.
        photos: Folder that its images are in, None for where they were.

    Yields:
        With sources that are there; `with_own_tables` tells later where they went.

    Raises:
        RunError: They are not.
    """
    if photos is None:
        yield dataset
        return
    check_is_folder(photos)
    if not isinstance(dataset, OwnDataset) or not are_noted(dataset, run):
        yield moved(dataset, photos)
        return
    with tempfile.TemporaryDirectory(prefix="semppl_") as name:
        found = find_files(dataset, run, photos, pathlib.Path(name), keep_lost=True)
        yield found.dataset
        for role in dataset.sources:
            with whole_file(run / TABLES[role]) as partial:
                shutil.copyfile(found.folder / TABLES[role], partial)


def _lost(name: str, photos: str) -> str:
    """A path below a folder for what is not found in it, with the folders that tell it
    from others: where it was, somebody else's run could name any file."""
    return photos + os.path.normpath(os.sep + os.sep.join(parts_of(name)[1:]))


class _Places:
    """The files below a folder, by what they are called.

    Args:
        folder: Its path.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._by_name: dict[str, list[str]] = {}
        for path in _files_below(os.path.abspath(folder)):
            name = _composed(os.path.basename(path))
            self._by_name.setdefault(name, []).append(path)

    def of(self, names: Iterable[str]) -> dict[str, str]:
        """By the path that a file had the one that it has now, of those there are.

        Raises:
            RunError: It may be one of two, or two would be the same.
        """
        now: dict[str, str] = {}
        taken: dict[str, str] = {}
        for name in names:
            path = self._of(name)
            if path is None:
                continue
            if taken.setdefault(path, name) != name:
                raise RunError(
                    "--photos must be a folder in which there is each image of the "
                    f"run. Received: {self._folder!r}, in which {path!r} would be both "
                    f"{taken[path]!r} and {name!r}. Give the folders in it the names "
                    "that they had."
                )
            now[name] = path
        return now

    def _of(self, name: str) -> str | None:
        parts = parts_of(name)
        if _composed(parts[-1]) not in self._by_name:
            # On another system it was divided otherwise.
            parts = parts_of(name.replace("\\", "/"))
        alike: dict[tuple[int, int], list[str]] = {}
        for path in self._by_name.get(_composed(parts[-1]), ()):
            others = parts_of(path)
            # Before those that are spelled otherwise the very same.
            common = _common(_all_composed(parts), _all_composed(others))
            alike.setdefault((common, _common(parts, others)), []).append(path)
        if not alike:
            return None
        best = alike[max(alike)]
        if len(best) > 1:
            raise RunError(
                "--photos must be a folder in which the images of the run, and the "
                f"folders that they are in, are called as they were. Received: "
                f"{self._folder!r}, in which {name!r} may be {best[0]!r} or "
                f"{best[1]!r}. Name a folder further down, or give the folders in it "
                "the names that they had."
            )
        return best[0]


def _composed(name: str) -> str:
    """A name as it looks: some systems, and copies from there, spell letters apart."""
    return unicodedata.normalize("NFC", name)


def _all_composed(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(_composed, parts))


def _files_below(folder: str) -> Iterable[str]:
    """Their paths; folders are followed through links, each once."""
    seen = set()
    for current, folders, files in os.walk(folder, followlinks=True):
        place = os.path.realpath(current)
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        yield from (os.path.join(current, name) for name in files)


def _common(parts: tuple[str, ...], others: tuple[str, ...]) -> int:
    """How many of the last parts of two paths are the same."""
    pairs = list(zip(reversed(parts), reversed(others), strict=False))
    return next((n for n, (one, two) in enumerate(pairs) if one != two), len(pairs))


def _named(names: list[str]) -> str:
    more = ", ..." if len(names) > _MOST_NAMED else ""
    return ", ".join(map(shown, names[:_MOST_NAMED])) + more
