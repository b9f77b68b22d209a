"""What the texts say that name sources of images; nothing is opened."""

import os
import pathlib

TABLE_ENDINGS = (".csv", ".tsv", ".txt", ".json")
# What other programs write of images, and their labels.
JSON_ENDING = ".json"

# The table that a run has of its unlabelled images, in its folder.
_OF_RUN = "unlabelled.csv"

# Of sources that are no folders and no tables: KIND:REST.
RECORD_KINDS = ("tfrecord", "arrayrecord")
_KINDS = ("npz", "tfds", *RECORD_KINDS)

Source = str | os.PathLike[str]


def kind_and_rest(source: Source) -> tuple[str | None, str]:
    """Of "npz", "tfds", "tfrecord" or "arrayrecord" and what follows; None and all of
    it otherwise."""
    kind, _, rest = str(source).partition(":")
    return (kind, rest) if kind in _KINDS and rest else (None, str(source))


def is_table(source: Source) -> bool:
    """Whether a source is a table, of those that `open_images` takes."""
    kind, path = kind_and_rest(source)
    if kind is not None or os.path.isdir(path):
        return False
    return pathlib.Path(path).suffix.lower() in TABLE_ENDINGS


def source_path(source: Source) -> str | None:
    """The path that a source is, or names after its kind; None where it names none."""
    kind, path = kind_and_rest(source)
    return None if kind == "tfds" else path


def resolved_source(source: Source) -> str:
    """What names the same images from any working folder: paths in it absolute."""
    kind, path = kind_and_rest(source)
    if kind == "tfds":
        name, _, listed = path.partition("@")
        return f"tfds:{name}" + (f"@{os.path.abspath(listed)}" if listed else "")
    return ("" if kind is None else f"{kind}:") + os.path.abspath(path)


def own_name(source: Source) -> str:
    """What a source is called in reports and folders: the last part of its path, of a
    run's own table that of the run's."""
    kind, path = kind_and_rest(source)
    if kind == "tfds":
        return path.partition("#")[0]
    folder, name = os.path.split(os.path.abspath(path))
    if name == _OF_RUN and kind is None:
        return os.path.basename(folder) or name
    return os.path.splitext(name)[0] if os.path.isfile(path) else name


def images_folder(unlabelled: Source) -> str | None:
    """The folder that a source of unlabelled images is, None where it is another."""
    return str(unlabelled) if os.path.isdir(unlabelled) else None
