"""Tasks of Label Studio: guesses as predictions, a person's labels as annotations.

Read for this, of labelstud.io: guide/task_format ("Label Studio JSON format of
annotated tasks": `data`, `annotations[].result[]`, `was_cancelled`), guide/predictions
("JSON format for pre-annotations": `predictions[].result[]`, `score`, `model_version`),
templates/image_classification (its names of the tags: an image `image` of the value
`$image`, choices `choice`) and guide/storage (`/data/local-files/?d=`, a path below the
folder that LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT names). Tried with Label Studio 1.23,
which serves images of a source storage alone, and takes no storage that is that folder
itself.
"""

import os
import pathlib
import shlex
import urllib.parse
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import quoteattr

from semppl_keras.checks import listed
from semppl_keras.data.images.table_options import TableOptions, plain_label
from semppl_keras.data.tables.guesses import Guesses, rounded
from semppl_keras.data.tables.json_content import json_text, kind, shown, text_of
from semppl_keras.data.tables.label_studio_minimal import is_minimal, tasks_of_minimal
from semppl_keras.data.tables.label_studio_places import (
    IMAGE,
    LOCAL,
    entries_of_images,
    place_of,
    served_path,
)
from semppl_keras.data.tables.named_image import NamedImage, listed_in_part

# As the template for classifying images calls it.
_CHOICE = "choice"
# Beside the tasks: what a project has to ask.
INTERFACE = ".interface.xml"


def is_label_studio(content: Any) -> bool:
    """Whether the content of a JSON file is tasks, or what JSON-MIN has of them."""
    return is_minimal(content) or (
        isinstance(content, list)
        and len(content) > 0
        and all(isinstance(task, dict) and "data" in task for task in content)
    )


def read_label_studio(
    content: Any,
    path: pathlib.Path,
    options: TableOptions,
    role: str,
    remarks: list[str],
) -> list[NamedImage]:
    """The images of tasks, with what persons say of them; predictions are no labels.

    Args:
        content: what `is_label_studio`.
        path: path of the file, for messages.
        options: `TableOptions`: `path_column` names the entry of `data` that has the
            image, `label_column` the choices, where there are several.
        role: as `open_images` takes it.
        remarks: list, to which texts are appended: what was left out.

    Raises:
        ValueError: if a task is none, or one of them could be read in several ways.
    """
    images: list[NamedImage] = []
    doubtful: list[str] = []
    uploaded = 0
    if is_minimal(content):
        content = tasks_of_minimal(content, _CHOICE, options, path, role)
    control = options.label_column
    if role == "test" and control not in _controls(content):
        # It is asked of the labelled images, and need not hold for these.
        control = None
    for number, task in enumerate(content, 1):
        where = f"Task {number} of {str(path)!r}"
        address = _address(task["data"], where, options.path_column)
        place, was_uploaded = place_of(address, where)
        uploaded += was_uploaded
        said = _said(task, where, control)
        if len(said) > 1:
            doubtful.append(place)
        label = said[0] if len(said) == 1 else None
        readings = tuple(dict.fromkeys((address, place)))
        images.append(NamedImage(number, where, place, label, readings=readings))
    if doubtful:
        remarks.append(
            f"{str(path)!r}: {listed_in_part(doubtful)}, have several labels, of one "
            "person or of different ones, and are taken for images without."
        )
    if uploaded:
        remarks.append(
            f"{str(path)!r}: {uploaded:,} images were uploaded to Label Studio: each "
            "is looked for by the name that it had before."
        )
    return images


def _address(data: Any, where: str, column: str | None) -> str:
    """What a task says of where its image is."""
    if not isinstance(data, dict):
        raise ValueError(f"{where} must have an object `data`. Received: {kind(data)}.")
    if column is None:
        names = entries_of_images(data)
        if len(names) != 1:
            raise ValueError(
                f"{where} must have one image in its `data`. Received: "
                f"{listed(names or list(data)) or 'nothing'}. Say which it is with "
                "--path-column NAME."
            )
        column = names[0]
    address = data.get(column)
    if not isinstance(address, str) or not address.strip() or "\0" in address:
        raise ValueError(
            f"{where} must name its image in `data`, as {column!r}. Received: "
            f"{shown(address)}."
        )
    return address.strip()


def _said(task: dict[str, Any], where: str, control: str | None) -> list[str]:
    """The labels that persons have chosen, each once; not what they have skipped."""
    annotations = task.get("annotations")
    if not isinstance(annotations, list | None):
        raise ValueError(
            f"{where} must have a list `annotations`. Received: {kind(annotations)}."
        )
    said: list[tuple[bool, str]] = []
    controls: dict[str, None] = {}
    for name, is_truth, value in _results(annotations or []):
        if control is not None and name != control:
            continue
        controls[name] = None
        choices = value.get("choices") if isinstance(value, dict) else None
        if not isinstance(choices, list):
            raise ValueError(
                f"{where} must have a list of `choices` in each of its results. "
                f"Received: {kind(choices)}."
            )
        for choice in choices:
            said.append((is_truth, _label(choice, where)))
    if len(controls) > 1:
        raise ValueError(
            f"{where} must have choices by one name. Received: "
            f"{listed(list(controls))}. Say which of them are the labels with "
            "--label-column NAME."
        )
    # What somebody has called the truth counts for more than the others.
    truths = [label for is_truth, label in said if is_truth]
    return list(dict.fromkeys(truths or [label for _, label in said]))


def _results(annotations: list[Any]) -> Iterator[tuple[str, bool, Any]]:
    """Of what persons have chosen the name of the choices, whether it is called the
    truth, and the value."""
    for annotation in annotations:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        is_truth = annotation.get("ground_truth") is True
        results = annotation.get("result")
        for result in results if isinstance(results, list) else ():
            if isinstance(result, dict) and result.get("type") == "choices":
                yield str(result.get("from_name")), is_truth, result.get("value")


def _controls(tasks: list[dict[str, Any]]) -> set[str]:
    """The names of the choices of all tasks."""
    lists = [task.get("annotations") for task in tasks]
    return {
        name
        for annotations in lists
        if isinstance(annotations, list)
        for name, _, _ in _results(annotations)
    }


def _label(choice: Any, where: str) -> str:
    label = text_of(choice)
    if label is None:
        raise ValueError(
            f"{where} must have texts for `choices`. Received: {shown(choice)}."
        )
    return plain_label(label)


def label_studio_files(
    guesses: Guesses, table: pathlib.Path
) -> tuple[dict[pathlib.Path, bytes], list[str]]:
    """The file of tasks and that of their labelling interface, and what is worth
    knowing of them.

    Args:
        guesses: `Guesses`.
        table: path of the file.
    """
    root, storage = guesses.folders(table)
    served = f"{served_path()}{LOCAL}"
    tasks = [_task(guesses, index, root, served) for index in range(len(guesses))]
    interface = table.with_suffix(INTERFACE)
    storages = f"the source storage (local files) {storage}"
    if storage == root:
        # It takes no storage that is the document root itself.
        storages = (
            f"a source storage (local files) for each folder in {root} that has some "
            "of them"
        )
    remarks = [
        "Label Studio finds the images where it is started with "
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true "
        f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={shlex.quote(str(root))}, and the "
        f"project has {storages}",
        f"Its labelling interface, with all classes, is in {interface}",
    ]
    if served != LOCAL:
        remarks.append(f"The tasks have addresses below {served}, by LABEL_STUDIO_HOST")
    files = {table: json_text(tasks), interface: _interface(guesses.classes)}
    return files, remarks


def _interface(classes: list[str]) -> bytes:
    choices = "".join(f"    <Choice value={quoteattr(name)}/>\n" for name in classes)
    return (
        f'<View>\n  <Image name="{IMAGE}" value="${IMAGE}"/>\n'
        f'  <Choices name="{_CHOICE}" toName="{IMAGE}">\n{choices}  </Choices>\n'
        "</View>\n"
    ).encode()


def _task(
    guesses: Guesses, index: int, root: pathlib.Path, served: str
) -> dict[str, Any]:
    place = pathlib.Path(os.path.abspath(guesses.names[index]))
    below = place.relative_to(root).as_posix()
    confidence = rounded(guesses.confidences[index])
    task: dict[str, Any] = {
        "data": {IMAGE: f"{served}?d={urllib.parse.quote(below)}"},
        "predictions": [
            {
                "model_version": "semppl",
                "score": confidence,
                "result": [{**_result(guesses.labels[index]), "score": confidence}],
            }
        ],
    }
    if guesses.given[index]:
        result = _result(guesses.given[index])
        # Where it is not said, Label Studio takes what it imports for the truth, before
        # which nothing counts that a person says there.
        said = {"was_cancelled": False, "ground_truth": False, "result": [result]}
        task["annotations"] = [said]
    return task


def _result(label: str) -> dict[str, Any]:
    return {
        "from_name": _CHOICE,
        "to_name": IMAGE,
        "type": "choices",
        "value": {"choices": [label]},
    }
