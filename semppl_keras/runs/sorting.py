"""Labelled images go into folders of their classes, copied or moved."""

import os
import pathlib
import re
import shutil
from collections.abc import Sequence

from semppl_keras.reports.counted import counted
from semppl_keras.runs.results.labels import Labels
from semppl_keras.runs.run_images import LabelledImages
from semppl_keras.runs.telling import tell
from semppl_keras.runs.whole_files import whole_file


def sort_into(
    into: pathlib.Path,
    source: pathlib.Path,
    labels: Labels,
    labelled: LabelledImages,
    places: list[str],
    *,
    move: bool = False,
    overwrite: bool = False,
) -> None:
    """Copies or moves the images of a table into folders of their classes.

    What is reached through a link below the folder is copied: what the link leads to
    may be another's. So are the run's labelled images, which it needs to label more.

    Args:
        into: Where the folders of the classes are made.
        source: The folder in which the images are, whose folders are kept.
        labels: Of the images, and which of them are in the table.
        labelled: The images that the run needs.
        places: Of each image its path; becomes that to which it has been moved.
        move: Whether they are moved.
        overwrite: Whether files that are there already are replaced.

    Raises:
        OSError: One cannot be written; `places` tells what has been moved by then.
    """
    names = labels.class_names
    folders = dict(zip(names, _class_folders(names), strict=True))
    predicted = labels.predicted
    all_images = {os.path.realpath(name) for name in labels.names}
    needed = {os.path.realpath(name) for name in labelled.names}
    done, linked, with_labels = 0, 0, 0
    there: list[pathlib.Path] = []
    own: list[pathlib.Path] = []
    for index in labels.rows:
        path = pathlib.Path(labels.names[index])
        below = path.relative_to(source)
        name = labels.given[index] or names[predicted[index]]
        target = into / folders[name] / below
        if os.path.realpath(target) in all_images:
            own.append(target)
            continue
        if target.exists() and not overwrite:
            there.append(target)
            continue
        through_link = os.path.realpath(path) != os.path.join(
            os.path.realpath(source), below
        )
        with whole_file(target) as partial:
            shutil.copy2(path, partial)
        if move and through_link:
            linked += 1
        elif move and os.path.realpath(path) in needed:
            with_labels += 1
        elif move:
            places[index] = str(target)
            path.unlink()
        done += 1
    done -= linked + with_labels
    verb = "moved" if move else "copied"
    images = counted(done, "image is", "images are")
    tell(f"{images} {verb} into class folders in {into}")
    if linked:
        others = counted(linked, "other is", "others are")
        tell(
            f"{others} reached through links and copied: the links and what they lead "
            "to stay"
        )
    if with_labels:
        others = counted(with_labels, "other", "others")
        tell(f"{others} with labels are copied: the run needs them where they are")
    if there:
        tell(
            f"{counted(len(there), 'was', 'were')} left where they are, since a file "
            f"has their place, such as {str(there[0])!r}; --overwrite replaces them"
        )
    if own:
        tell(
            f"{counted(len(own), 'was', 'were')} left where they are, since an image "
            f"to label has their place, such as {str(own[0])!r}"
        )


def _class_folders(names: Sequence[str]) -> list[str]:
    """For each class the name of a folder, none of which leads elsewhere."""
    folders: list[str] = []
    for name in names:
        folder = re.sub(r"[/\\\x00-\x1f]", "_", name)
        folder = re.sub(r"^\.", "_", folder) or "_"
        while folder in folders:
            folder += "_"
        folders.append(folder)
    return folders
