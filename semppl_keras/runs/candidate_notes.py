"""What was measured of some classifiers of a run, for a training that goes on."""

import pathlib
from collections.abc import Mapping
from typing import Any

from semppl_keras.evaluation.choosing import CrossValidation
from semppl_keras.runs.candidates import Candidate
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.safety.json_files import (
    SHARE_OR_NONE,
    Entry,
    check_entries,
    number,
    read_json,
)
from semppl_keras.runs.whole_files import write_json

_ENTRIES = {"labels": dict, "knn_accuracy": SHARE_OR_NONE, "classifiers": dict}
_CLASSIFIER = {
    "accuracy": SHARE_OR_NONE,
    # Of an earlier version there is none.
    "balanced_accuracy": number(0, 1, optional=True),
    "correct": Entry(
        list | None,
        lambda values: (
            values is None
            or all(
                isinstance(value, int | float) and 0 <= value <= 1 for value in values
            )
        ),
        "that is a list of shares, or null",
    ),
    "optimism": number(0, 1),
    # Of an earlier version all labels count alike.
    "weights": Entry(
        list | None,
        lambda values: all(
            isinstance(value, int | float) and value > 0 for value in values or ()
        ),
        "that is a list of positive numbers, or null",
        True,
    ),
    # What an earlier version has measured lacks it.
    "temperature": Entry(
        int | float, lambda value: 0 < value < 1e6, "that is a positive number", True
    ),
}


def write_note(
    path: pathlib.Path,
    labels: Mapping[str, Any],
    candidates: Mapping[str, Candidate],
    knn_accuracy: float | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Notes what was measured.

    Args:
        path: Of the note.
        labels: Which labels the classifiers know, as `run.json` has them.
        candidates: By name.
        knn_accuracy: Of weighted nearest neighbours, or None.
        settings: How their network was trained, as JSON has it, or None.
    """
    write_json(
        path,
        {
            "labels": labels,
            "knn_accuracy": knn_accuracy,
            "settings": settings,
            "classifiers": {
                name: {
                    "accuracy": one.accuracy,
                    "balanced_accuracy": one.balanced_accuracy,
                    "correct": one.cross_validation and one.cross_validation.correct,
                    "optimism": one.cross_validation.optimism
                    if one.cross_validation
                    else 0.0,
                    "weights": one.cross_validation and one.cross_validation.weights,
                    "temperature": one.cross_validation.temperature
                    if one.cross_validation
                    else 1.0,
                }
                for name, one in candidates.items()
            },
        },
    )


def read_note(
    path: pathlib.Path, labels: Mapping[str, Any]
) -> tuple[dict[str, Candidate], float | None] | None:
    """What was measured of the same labels, or None.

    Args:
        path, labels: As for `write_note`.

    Returns:
        The classifiers by name, and the accuracy of nearest neighbours.

    Raises:
        RunError: The note is damaged.
    """
    if not path.is_file():
        return None
    note = read_json(path, _ENTRIES)
    if note["labels"] != labels:
        return None
    candidates = {}
    for name, entry in note["classifiers"].items():
        check_entries(path, {name: entry}, {name: dict})
        check_entries(path, entry, _CLASSIFIER)
        correct = entry["correct"]
        measured = (
            None
            if correct is None
            else CrossValidation(
                tuple(correct),
                entry["optimism"],
                entry.get("temperature", 1.0),
                _weights(path, name, entry, len(correct)),
            )
        )
        candidates[name] = Candidate(
            measured,
            entry["accuracy"],
            balanced_accuracy=entry.get("balanced_accuracy"),
        )
    return candidates, note["knn_accuracy"]


def _weights(
    path: pathlib.Path, name: str, entry: Mapping[str, Any], count: int
) -> tuple[float, ...]:
    """Those of a classifier, one for each image that was held out, or none."""
    weights = tuple(entry.get("weights") or ())
    if weights and len(weights) != count:
        raise RunError(
            f"{str(path)!r} must have a weight for each label of {name!r}. Received: "
            f"{len(weights)} for {count}. Delete it; it is measured again."
        )
    return weights
