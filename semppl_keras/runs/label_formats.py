"""What `label` writes of images, in the form that was asked for."""

import dataclasses
import os
import pathlib
import shutil
from collections.abc import Sequence

from semppl_keras.data.images.source_names import kind_and_rest
from semppl_keras.data.tables.fiftyone import FOLDER, LABELS, MANIFEST, uuids
from semppl_keras.data.tables.formats import FORMATS
from semppl_keras.data.tables.guesses import Guesses
from semppl_keras.data.tables.label_studio import INTERFACE
from semppl_keras.reports.counted import counted
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.label_table import (
    is_text,
    path_from,
    skipped_path,
    write_table,
)
from semppl_keras.runs.options.label import LabelOptions
from semppl_keras.runs.results.labels import Labels
from semppl_keras.runs.telling import tell
from semppl_keras.runs.whole_files import whole_file

_TABLE, _FIFTYONE, _LABEL_STUDIO = "csv", "fiftyone", "label-studio"
# Where labels go that nobody has named a place for; of FiftyOne's a folder.
OUT = {
    "csv": "labels.csv",
    "label-studio": "labels.json",
    "coco": "labels.json",
    "fiftyone": "labels_fiftyone",
    "npz": "labels.npz",
    "parquet": "labels.parquet",
}
# What an ending says of a file; a .json may be of several programs, and of what has no
# ending here nothing is said.
_ENDINGS = {".npz": "npz", ".parquet": "parquet"}
_READ_AS = {
    ".csv": (_TABLE,),
    ".tsv": (_TABLE,),
    ".json": tuple(name for name, out in OUT.items() if out.endswith(".json")),
    **{ending: (name,) for ending, name in _ENDINGS.items()},
}


def label_format(options: LabelOptions) -> str:
    """The name of the form: what is asked for, or what the ending of the file says.

    Raises:
        RunError: The ending leaves several, or the form cannot be written.
    """
    name = options.format
    ending = pathlib.Path(options.out or "").suffix.lower()
    if name is None:
        if ending == ".json":
            raise RunError(
                "--format must say which program a .json is for: "
                f"{', '.join(_READ_AS[ending])}. Received: --out {options.out} alone. "
                "Add --format."
            )
        name = _ENDINGS.get(ending, _TABLE)
    elif name != _FIFTYONE and name not in _READ_AS.get(ending, (name,)):
        raise RunError(
            f"--out must end as --format says, such as {OUT[name]}. Received: --out "
            f"{options.out} with --format {name}, by which it would be read as "
            "something else. Change one of the two."
        )
    if options.copy_images and name != _FIFTYONE:
        raise RunError(
            f"--copy-images is for --format {_FIFTYONE}. Received: --format {name}. "
            "Leave it out, or copy into folders with --move-into."
        )
    if name != _TABLE:
        _check_form(name, options.source)
    return name


def _check_form(name: str, source: str) -> None:
    form = FORMATS[name]
    if form.of_files and kind_and_rest(source)[0] is not None:
        raise RunError(
            f"--format {name} names image files. Received: {source!r}, whose images "
            "are none. Choose --format csv, npz or parquet."
        )
    if form.check is not None:
        try:
            form.check()
        except ImportError as error:
            raise RunError(f"{error}") from error


def label_out(options: LabelOptions) -> pathlib.Path:
    """The file of labels; of FiftyOne's form it has a name of its own in the folder.

    Raises:
        RunError: As `label_format`.
    """
    name = label_format(options)
    out = pathlib.Path(options.out or OUT[name])
    return out / LABELS if name == _FIFTYONE else out


def label_files(options: LabelOptions) -> list[pathlib.Path]:
    """All files that are written of the labels."""
    out = label_out(options)
    files = [out, skipped_path(out)]
    if label_format(options) == _FIFTYONE:
        # With copies there is none, and an earlier one would count for more than these.
        files.append(out.with_name(MANIFEST))
    if label_format(options) == _LABEL_STUDIO:
        files.append(out.with_suffix(INTERFACE))
    return files


def check_copies(options: LabelOptions) -> None:
    """Raises a `RunError` where copies of images would replace something."""
    if not options.copy_images:
        return
    folder = label_out(options).with_name(FOLDER)
    if folder.exists() and not options.overwrite:
        raise RunError(
            f"{folder} exists already. Choose another --out, or add --overwrite."
        )
    if _is_in(pathlib.Path(options.source), folder):
        raise RunError(
            f"--copy-images copies into {folder}. Received: {options.source}, which is "
            "in it. Choose another --out."
        )


def write_labels(
    options: LabelOptions,
    labels: Labels,
    labelled_names: Sequence[str],
    *,
    again: bool = False,
) -> list[str]:
    """Writes what the classifier says of the images.

    Args:
        options: Which form, and where to.
        labels: `Labels`, of which `rows` are written.
        labelled_names: A text for each labelled image.
        again: Whether it was done before, and images have other places since.

    Returns:
        What is worth knowing of the files, for when all is done.
    """
    name, out = label_format(options), label_out(options)
    if name == _TABLE:
        write_table(out, labels, labelled_names)
        return []
    guesses = _nameable(_guesses(labels, out), name, told=not again)
    files, remarks = FORMATS[name].files(guesses, out)
    if options.copy_images:
        files.pop(out.with_name(MANIFEST))
        if not again:
            _copy(guesses, out.with_name(FOLDER))
            out.with_name(MANIFEST).unlink(missing_ok=True)
    for path, content in files.items():
        with whole_file(path) as partial:
            partial.write_bytes(content)
    return remarks


def _guesses(labels: Labels, out: pathlib.Path) -> Guesses:
    rows = labels.rows
    names = [labels.names[index] for index in rows]
    return Guesses(
        names=names,
        paths=[path_from(name, out) for name in names],
        labels=[labels.class_names[labels.predicted[index]] for index in rows],
        confidences=labels.confidences[rows],
        given=[labels.given[index] for index in rows],
        class_names=tuple(labels.class_names),
        features=labels.features[rows],
    )


def _nameable(guesses: Guesses, form: str, *, told: bool) -> Guesses:
    """Those whose names are UTF-8, as all text of these forms has to be."""
    chosen = [index for index, name in enumerate(guesses.names) if is_text(name)]
    left_out = len(guesses) - len(chosen)
    if left_out and told:
        others = counted(left_out, "image has", "images have")
        tell(
            f"{others} a file name that is not UTF-8, and cannot be in the form "
            f"{form}: left out. Rename what is to be there, or choose --format csv."
        )
    if not left_out:
        return guesses
    return dataclasses.replace(
        guesses,
        names=[guesses.names[index] for index in chosen],
        paths=[guesses.paths[index] for index in chosen],
        labels=[guesses.labels[index] for index in chosen],
        given=[guesses.given[index] for index in chosen],
        confidences=guesses.confidences[chosen],
        features=guesses.features[chosen],
    )


def _is_in(path: pathlib.Path, folder: pathlib.Path) -> bool:
    """Whether a path is a folder, or somewhere in it."""
    return path.resolve().is_relative_to(folder.resolve())


def _copy(guesses: Guesses, folder: pathlib.Path) -> None:
    """Copies the images, each by the name that its label has."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, uuid in zip(guesses.names, uuids(guesses.names), strict=True):
        target = folder / f"{uuid}{os.path.splitext(name)[1]}"
        with whole_file(target) as partial:
            shutil.copyfile(name, partial)
    images = counted(len(guesses), "image is", "images are")
    tell(f"{images} copied into {folder}")
