"""Labels by file: merged, compared, and what has become of them told."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

from semppl_keras.reports.counted import counted
from semppl_keras.reports.shown import shown
from semppl_keras.runs.telling import tell

# Files that are told and noted by name; of all there is the number.
_MOST_NAMED = 5

# By what a file is, whatever leads to it: what it is called, and its class.
FileLabels = Mapping[str, tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class LabelChanges:
    """What differs between the labels of two times.

    Args:
        added: Names of files that had no label before.
        changed: Name, class before and class now of those that have another.
        removed: Names of those that have none now.
    """

    added: tuple[str, ...] = ()
    changed: tuple[tuple[str, str, str], ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def to_dict(self) -> dict[str, Any]:
        """The numbers, and the first few that were changed, as `run.json` has them."""
        return {
            "added": len(self.added),
            "changed": len(self.changed),
            "removed": len(self.removed),
            "such_as": [list(one) for one in self.changed[:_MOST_NAMED]],
        }

    def told(self) -> str:
        """The numbers in words."""
        return (
            f"{len(self.added):,} added, {len(self.changed):,} changed, "
            f"{len(self.removed):,} removed"
        )


def by_file(labels: Iterable[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Labels by the file that each is of.

    Args:
        labels: Pairs of a path and a class. Of two paths to one file with different
            classes both stay, to be told where they are read.

    Returns:
        `FileLabels`, in their order.
    """
    found: dict[str, tuple[str, str]] = {}
    for name, label in labels:
        file = os.path.realpath(name)
        if found.setdefault(file, (name, label))[1] != label:
            found[os.path.abspath(name)] = name, label
    return found


def merged(own: FileLabels, more: FileLabels) -> dict[str, tuple[str, str]]:
    """Labels of two times, of which the later count.

    Args:
        own: The earlier ones; where a file is among both, what it is called here stays.
        more: The later ones.

    Returns:
        `FileLabels`: the earlier in their order, then those that are new.
    """
    together = dict(own)
    for file, (name, label) in more.items():
        together[file] = together.get(file, (name, label))[0], label
    return together


def changes(before: FileLabels, now: FileLabels) -> LabelChanges:
    """What differs between the labels of two times."""
    return LabelChanges(
        tuple(name for file, (name, _) in now.items() if file not in before),
        tuple(
            (name, before[file][1], label)
            for file, (name, label) in now.items()
            if file in before and before[file][1] != label
        ),
        tuple(name for file, (name, _) in before.items() if file not in now),
    )


def tell_changed(found: LabelChanges) -> None:
    """Names those that have another class than before, and those that have none."""
    if found.changed:
        named = "; ".join(
            f"{shown(name)} {shown(before)} before, {shown(now)} now"
            for name, before, now in found.changed[:_MOST_NAMED]
        )
        tell(
            f"Note: {counted(len(found.changed), 'image has', 'images have')} another "
            "class than the run was trained with, and the later one counts: "
            f"{named}{_and_more(len(found.changed))}."
        )
    if found.removed:
        named = ", ".join(shown(name) for name in found.removed[:_MOST_NAMED])
        tell(
            f"Note: {counted(len(found.removed), 'image', 'images')} of the run's "
            f"labels have none any more: {named}{_and_more(len(found.removed))}."
        )


def _and_more(count: int) -> str:
    return f" and {count - _MOST_NAMED:,} more" if count > _MOST_NAMED else ""
