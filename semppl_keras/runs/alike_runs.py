"""Whether several runs are so alike that a mean over them says something."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semppl_keras.data import OwnDataset
from semppl_keras.reports.counted import counted
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.options.checks import AS_LABELLED
from semppl_keras.runs.options.evaluate import EvaluateOptions
from semppl_keras.runs.telling import tell

_SETTINGS = (
    "labels_per_class",
    "minutes",
    "epochs",
    "recipe",
    "labelled_share",
    "batch_size",
    "learning_rate",
    "strangers",
    "balance",
)
# What makes no difference beside an option that was left out.
_AS_LEFT_OUT = {"strangers": False, "balance": AS_LABELLED}
# Where the images of a run are: the same ones may be called in two ways, as in the
# tables of runs that go on.
_PLACES = ("unlabelled", "labelled", "test")
# What differs without a difference in what is learned.
_OF_NO_EFFECT = ("cache", "max_skipped")


def check_alike(runs: Sequence[FinishedRun], options: EvaluateOptions) -> None:
    """Fails where a mean over runs would be one of different things.

    They must be trained alike, know the same classes, and be tested on the same images,
    wherever these are. Different labels are told.

    Args:
        runs: Of which to take the mean, if there are several.
        options: Of the evaluation.

    Raises:
        RunError: They are not alike.
    """
    if len(runs) < 2:
        return
    first, *others = runs
    for other in others:
        _check_settings(first, other)
        if not (_is_own(first) and _is_own(other)):
            # A data set with a name says it all.
            continue
        if first.class_names != other.class_names:
            raise _differ(first, other, "classes", *map(_classes, (first, other)))
        if options.data is None and options.test is None:
            _check_tested(first, other)
    seeds = [finished.settings["seed"] for finished in runs]
    drawn = {(seed, _drawn(each)) for seed, each in zip(seeds, runs, strict=True)}
    if len(drawn) < len(runs):
        raise RunError(
            "Several runs must have different seeds, or different labels. Received: "
            f"the same labels, and the seeds {', '.join(map(str, seeds))}. Evaluate "
            "them one by one."
        )
    _tell_numbers(runs)


def _tell_numbers(runs: Sequence[FinishedRun]) -> None:
    """Says where some of the runs have more labels than others."""
    counts = [(each.settings.get("labels") or {}).get("counts") or {} for each in runs]
    numbers = [sum(of_class.values()) for of_class in counts]
    if len(set(numbers)) > 1:
        told = ", ".join(
            f"{counted(number, 'label', 'labels')} in {each.named}"
            for number, each in zip(numbers, runs, strict=True)
        )
        tell(f"Note: the mean is over runs with more labels and with fewer: {told}.")


def _is_own(finished: FinishedRun) -> bool:
    return isinstance(finished.dataset, OwnDataset)


def _check_settings(first: FinishedRun, other: FinishedRun) -> None:
    """Compares what they are trained with, but for where the images are."""
    pairs: list[tuple[str, Any, Any]] = [
        (name, _trained_with(first, name), _trained_with(other, name))
        for name in _SETTINGS
        # With minutes they were found by the clock.
        if name != "epochs" or first.settings.get("minutes") is None
    ]
    if _is_own(first) and _is_own(other):
        one, another = (_without_places(each) for each in (first, other))
        names = dict.fromkeys((*one, *another))
        pairs += [(name, one.get(name), another.get(name)) for name in names]
    else:
        one, another = (each.settings["dataset"] for each in (first, other))
        pairs.insert(0, ("dataset", one, another))
    for name, mine, others in pairs:
        if mine != others:
            raise _differ(first, other, name, mine, others)


def _trained_with(finished: FinishedRun, name: str) -> Any:
    """A setting of a run; None where it was left out, or might as well have been."""
    value = finished.settings.get(name)
    return None if value == _AS_LEFT_OUT.get(name) else value


def _without_places(finished: FinishedRun) -> dict[str, Any]:
    entries = finished.dataset.options()
    left_out = (*_PLACES, *_OF_NO_EFFECT)
    return {name: value for name, value in entries.items() if name not in left_out}


def _check_tested(first: FinishedRun, other: FinishedRun) -> None:
    """Compares the images to test on: where they may be others, all of them."""
    same_place = first.dataset.sources.get("test") == other.dataset.sources.get("test")
    if same_place and not (first.packed or other.packed):
        return
    if _content(first) != _content(other):
        raise _differ(
            first, other, "images to test on,", *map(_told_tested, (first, other))
        )


def _told_tested(finished: FinishedRun) -> str:
    tested = finished.test
    if tested is None:
        return "none"
    return f"{len(tested.labels):,} of {finished.dataset.sources['test']}"


def _content(finished: FinishedRun) -> list[str]:
    """A text for each test image, which differs where its pixels or class do."""
    tested = finished.test
    if tested is None:
        return []
    texts = []
    for image, label in zip(tested.images, tested.labels, strict=True):
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16)
        texts.append(f"{digest.hexdigest()} {finished.class_names[label]}")
    # In a folder and in a table their order may be another.
    return sorted(texts)


def _drawn(finished: FinishedRun) -> str:
    """Which images are labelled, and how."""
    labels: Mapping[str, Any] = finished.settings.get("labels") or {}
    return f"{labels.get('digest')} {finished.settings.get('images_digest')}"


def _classes(finished: FinishedRun) -> str:
    return ", ".join(finished.class_names)


def _differ(
    first: FinishedRun, other: FinishedRun, what: str, mine: Any, others: Any
) -> RunError:
    return RunError(
        "Several runs must differ in the seed alone, or in their labels. Received: "
        f"{what} {mine} in {str(first.named)!r} and {others} in "
        f"{str(other.named)!r}. Evaluate them one by one."
    )
