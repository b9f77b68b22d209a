"""What Label Studio's JSON-MIN has of tasks: a row for each annotation.

A row has the entries of the task's data, what was chosen by the name of the choices (a
text, or of several an object with `choices`), and the entries below, null where nobody
has annotated the task. Skipped tasks are left out, and which annotation is the ground
truth is not said. Tried with the exports of Label Studio 1.23.
"""

import pathlib
from typing import Any

from semppl_keras.checks import listed
from semppl_keras.data.images.table_options import TableOptions
from semppl_keras.data.tables.label_studio_places import entries_of_images

# What each row has beside the data and the choices.
_SAID_OF_IT = {
    "id",
    "annotator",
    "annotation_id",
    "created_at",
    "updated_at",
    "lead_time",
    "agreement",
}
_ALWAYS = {"id", "annotator", "annotation_id"}


def is_minimal(content: Any) -> bool:
    """Whether the content of a JSON file is such rows."""
    return (
        isinstance(content, list)
        and len(content) > 0
        and all(isinstance(row, dict) and set(row) >= _ALWAYS for row in content)
    )


def tasks_of_minimal(
    content: list[dict[str, Any]],
    usual: str,
    options: TableOptions,
    path: pathlib.Path,
    role: str,
) -> list[dict[str, Any]]:
    """Tasks, as the export called JSON has them, in the order of the rows.

    Args:
        content: what `is_minimal`.
        usual: str, the name of the choices where nothing else is asked for.
        options: `TableOptions`, of which `label_column` asks for another name. What is
            asked of the labelled images need not hold for those to test on: there the
            usual name will do, and the only other entry.
        path: path of the file, for messages.
        role: as `open_images` takes it; "unlabelled" needs no choices.

    Raises:
        ValueError: if it is not known which entry has the choices.
    """
    names = dict.fromkeys(name for row in content for name in row)
    others = [name for name in names if name not in _SAID_OF_IT]
    choice = usual if options.label_column is None else options.label_column
    if role == "test" and choice not in names:
        images = [options.path_column]
        if options.path_column is None:
            images = [one for row in content for one in entries_of_images(row)]
        rest = [name for name in others if name not in images]
        choice = rest[0] if len(rest) == 1 and usual not in names else usual
    if role != "unlabelled" and choice not in names:
        raise ValueError(
            f"{str(path)!r} must have choices by the name {choice!r}. Received: "
            f"{listed(others) or 'nothing'}. Say which of them are the labels with "
            "--label-column NAME."
        )
    tasks: dict[str, dict[str, Any]] = {}
    for row in content:
        data = {name: row[name] for name in others if name in row and name != choice}
        task = tasks.setdefault(repr(row["id"]), {"data": data, "annotations": []})
        chosen = row.get(choice)
        if chosen is None:
            continue
        if isinstance(chosen, dict):
            chosen = chosen.get("choices")
        choices = chosen if isinstance(chosen, list) else [chosen]
        result = {"type": "choices", "from_name": choice, "value": {"choices": choices}}
        task["annotations"].append({"result": [result]})
    return list(tasks.values())
