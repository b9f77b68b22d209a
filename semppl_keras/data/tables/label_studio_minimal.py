"""What Label Studio's JSON-MIN has of tasks: a row for each annotation.

A row has the entries of the task's data, what was chosen by the name of the choices (a
text, or of several an object with `choices`), and the entries below, null where nobody
has annotated the task. Skipped tasks are left out, and which annotation is the ground
truth is not said. Tried with the exports of Label Studio 1.23.
"""

import pathlib
from typing import Any

from semppl_keras.checks import listed

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
    asked: str | None,
    path: pathlib.Path,
    *,
    labelled: bool,
) -> list[dict[str, Any]]:
    """Tasks, as the export called JSON has them, in the order of the rows.

    Args:
        content: what `is_minimal`.
        usual: str, the name of the choices where nothing else is asked for.
        asked: str, the name of the choices, or None.
        path: path of the file, for messages.
        labelled: bool, whether choices are asked for.

    Raises:
        ValueError: if it is not known which entry has the choices.
    """
    names = dict.fromkeys(name for row in content for name in row)
    others = [name for name in names if name not in _SAID_OF_IT]
    choice = asked if asked is not None else usual
    if labelled and choice not in names:
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
