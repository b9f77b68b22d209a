"""What is measured in the end, as a flat list that a program beside the run takes."""

from collections.abc import Iterator, Mapping
from typing import Any

# A number, or the name of what was chosen.
Figure = float | str

# How it was trained, which a tracker has from the beginning.
_SETTINGS = frozenset(
    (
        "backend",
        "class_names",
        "dataset",
        "ending",
        "epochs",
        "labels_per_class",
        "minutes",
        "recipe",
        "seed",
        "settings",
        "steps_per_epoch",
        "untrained",
        "versions",
    )
)
# By classes, of which there may be thousands, with names that no tracker takes.
_BY_CLASS = frozenset(("share_by_class",))


def final_figures(entries: Mapping[str, Any]) -> dict[str, Figure]:
    """What `metrics.json` or `classifier.json` says of how good something is.

    Args:
        entries: What the file holds.

    Returns:
        Numbers and texts by their names there, with "/" between those of a figure
        within another; without what was not measured, and what is of each class.

    Example:
        >>> final_figures({"balanced_accuracies": {"linear": 0.5}, "seed": 0})
        {'balanced_accuracies/linear': 0.5}
    """
    chosen = {name: entries[name] for name in entries if name not in _SETTINGS}
    return dict(_flat(chosen))


def _flat(entries: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    for name, value in entries.items():
        if isinstance(value, Mapping):
            if name not in _BY_CLASS:
                for inner, figure in _flat(value):
                    yield f"{name}/{inner}", figure
        elif isinstance(value, str | int | float):
            yield name, value
