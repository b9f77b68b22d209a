"""What a run keeps of its images, as files that a run which goes on has for its own."""

import collections
import dataclasses
import os
import pathlib
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from semppl_keras.checks import listed
from semppl_keras.data import OwnDataset
from semppl_keras.data.images.sources import open_images
from semppl_keras.runs.errors import MissingPictures
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.folder import dataset_of
from semppl_keras.runs.found_files import FoundFiles, are_noted
from semppl_keras.runs.kept_images import LABELLED, TEST, UNLABELLED, KeptImages
from semppl_keras.runs.noted_files import TABLES, write_files
from semppl_keras.runs.options.train import TrainOptions
from semppl_keras.runs.picture_places import root_of, short_name
from semppl_keras.runs.telling import tell

# The folder of the run that goes on in which they are.
KEPT = "kept"

# Of a name, which may be somebody else's, what every system takes for one.
_ODD = re.compile(r"[^\w.-]+", re.ASCII)
_LONGEST = 80


@dataclasses.dataclass(frozen=True, eq=False)
class KeptFiles(FoundFiles):
    """As `FoundFiles`, of which those that are gone are what the run keeps of them.

    Args:
        whole: Whether each labelled image is among them.
        now: By the path that a file had in training the one of what is kept of it.
    """

    whole: bool
    now: Mapping[str, str]


def kept_files(
    finished: FinishedRun, options: TrainOptions, out: pathlib.Path
) -> KeptFiles | None:
    """Images of a run whose files are not there, for one that goes on without training.

    Args:
        finished: The run.
        options: Of that which goes on.
        out: Its folder, in which what is kept becomes files.

    Returns:
        None where the files themselves are read: they are there, a person says where
        they are, or the run has not noted them or keeps nothing of them.

    Raises:
        MissingPictures: A training needs them.
    """
    own, folder = finished.dataset, finished.folder
    if (
        options.photos is not None
        or not isinstance(own, OwnDataset)
        or not are_noted(own, folder)
    ):
        return None
    missing = _missing(finished, own, options)
    kept = finished.images.kept
    if missing is None or kept is None:
        return None
    if options.epochs != 0:
        raise MissingPictures(
            f"{missing.told} A training needs them; the run keeps {kept.told()}, which "
            "will do for new classifiers: --epochs 0. If the images are elsewhere: "
            "--photos DIR."
        )
    place = pathlib.Path(tempfile.mkdtemp(prefix="semppl_"))
    weakref.finalize(finished, shutil.rmtree, place, ignore_errors=True)
    return _written(finished, own, kept, missing, place, out)


@dataclasses.dataclass(frozen=True)
class _Missing:
    """Files of a run that are not there, or may not be read.

    Args:
        names: By role the paths of all that the run has noted, and their labels.
        gone: Those of them that are missing.
        told: In words, a sentence.
    """

    names: Mapping[str, list[tuple[str, str | None]]]
    gone: frozenset[str]
    told: str


def _missing(
    finished: FinishedRun, own: OwnDataset, options: TrainOptions
) -> _Missing | None:
    """What is missing of the images; None where no more is than may be unreadable."""
    named: dict[str, list[tuple[str, str | None]]] = {}
    for role in own.sources:
        table = str((finished.folder / TABLES[role]).absolute())
        images = open_images(table, role, own.knowing(finished.class_names).tables)
        labels = images.labels or [None] * len(images.names)
        named[role] = list(zip(images.names, labels, strict=True))
    names = list(dict.fromkeys(name for files in named.values() for name, _ in files))
    try:
        finished.images.check_sources()
    except MissingPictures as error:
        return _Missing(named, frozenset(names), str(error))
    if options.unlabelled is not None:
        # It may be where they are now, or have labels that are relative to it.
        return None
    gone = [name for name in names if not os.path.exists(name)]
    most = own.max_skipped if options.max_skipped is None else options.max_skipped
    if len(gone) <= most * len(names):
        return None
    return _Missing(
        named,
        frozenset(gone),
        f"The images of {str(finished.named)!r} must be where it says. Received: "
        f"{len(names):,} files, of which {len(gone):,} are not there, such as "
        f"{listed(gone)}.",
    )


def _written(
    finished: FinishedRun,
    own: OwnDataset,
    kept: KeptImages,
    missing: _Missing,
    place: pathlib.Path,
    out: pathlib.Path,
) -> KeptFiles:
    """Files of what is kept, tables of these and of what is there, and what is told."""
    now = _pictures(finished, kept, missing, out / KEPT)
    found = {
        role: [
            (now.get(name, name), label)
            for name, label in files
            if name in now or name not in missing.gone
        ]
        for role, files in missing.names.items()
    }
    found = {role: files for role, files in found.items() if files}
    if not {"labelled", "unlabelled"} <= found.keys():
        raise MissingPictures(
            f"{missing.told} The run keeps too little of them: {kept.told()}. If they "
            "are elsewhere: --photos DIR."
        )
    for role, files in found.items():
        write_files(place / TABLES[role], files, own.tables)
    numbers = ", ".join(
        f"{len(found.get(role, ())):,} of {len(files):,} {role}"
        for role, files in missing.names.items()
    )
    tell(
        f"Note: {missing.told} The run goes on with what there is: {numbers}, of which "
        f"{len(now):,} are kept as the network saw them, in {out / KEPT}. If the "
        "others are elsewhere: --photos DIR."
    )
    sources = {role: str((place / TABLES[role]).absolute()) for role in found}
    dataset = dataclasses.replace(
        own,
        unlabelled=sources["unlabelled"],
        labelled=sources["labelled"],
        test=sources.get("test"),
    )
    return KeptFiles(
        dataset,
        place,
        {path: name for name, path in now.items()},
        len(found["labelled"]) == len(missing.names["labelled"]),
        {os.path.abspath(name): path for name, path in now.items()},
    )


def _pictures(
    finished: FinishedRun, kept: KeptImages, missing: _Missing, folder: pathlib.Path
) -> dict[str, str]:
    """Writes what is kept of the files that are missing; by their paths those of it."""
    root = root_of(dataset_of(finished.settings))
    now: dict[str, str] = {}
    taken: set[str] = set()
    for roles in (LABELLED, UNLABELLED), (TEST,):
        names = dict.fromkeys(
            name for role in roles for name, _ in missing.names.get(role, ())
        )
        pictures = [
            pair
            for role in roles
            if (part := kept.parts.get(role)) is not None
            for pair in zip(part.names, part.images, strict=True)
        ]
        called = _alone((short_name(name, root), name) for name in names)
        for short, image in _alone(pictures).items():
            name = called.get(short)
            if name in missing.gone and name not in now:
                now[name] = _write(folder, short, image, taken)
    return now


def _alone(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """By name, without what is called alike: nothing is guessed."""
    pairs = list(pairs)
    counts = collections.Counter(name for name, _ in pairs)
    return {name: value for name, value in pairs if counts[name] == 1}


def _write(folder: pathlib.Path, name: str, image: np.ndarray, taken: set[str]) -> str:
    """Writes an image, without loss, under a name like its own; gives the path."""
    from PIL import Image

    parts = [_ODD.sub("_", part).strip(".")[-_LONGEST:] for part in name.split("/")]
    path = folder.joinpath(*(part or "_" for part in parts))
    if path.suffix.lower() != ".png":
        path = path.with_name(f"{path.name}.png")
    stem, number = path.stem, 1
    # Of two that no system is asked to tell apart.
    while str(path).lower() in taken:
        number += 1
        path = path.with_name(f"{stem}_{number}.png")
    taken.add(str(path).lower())
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(image, 0, 255).astype("uint8")
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)
    return str(path.absolute())
