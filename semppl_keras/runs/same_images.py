"""Whether images that a person points to are those that a run was trained with."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from semppl_keras.data import FewLabels
from semppl_keras.runs.changed_labels import labels_of
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.kept_images import LABELLED, TEST, UNLABELLED, KeptImages
from semppl_keras.runs.run_images import LabelledImages
from semppl_keras.runs.telling import tell

# In the mean over an image: other versions of a decoder differ by less, of 255.
_MOST_DIFFERENCE = 4.0


def check_same(
    place: str,
    settings: Mapping[str, Any],
    metrics: Mapping[str, Any],
    data: FewLabels,
    kept: KeptImages | None,
    called: Callable[[str], str],
) -> None:
    """Fails where the images of a run are others than those it was trained with.

    Args:
        place: Where they are from, for the message.
        settings, metrics: What `run.json` and `metrics.json` hold.
        data: What was read there.
        kept: What the run keeps, or None.
        called: Gives what the run calls an image, by its path.

    Raises:
        RunError: They are others.
    """
    counts = {
        "labelled": (metrics["num_labelled"], len(data.labelled_indices)),
        "unlabelled": (metrics["num_unlabelled"], len(data.unlabelled_indices)),
        "test": (metrics["num_test"], 0 if data.x_test is None else len(data.x_test)),
    }
    for kind, (before, now) in counts.items():
        if before != now:
            raise _others(place, f"{now:,} {kind} images, where there were {before:,}")
    labelled = LabelledImages(data.x_labelled, data.y_labelled, [])
    check_labelled(place, settings, data.class_names, labelled, kept)
    before = settings.get("images_digest")
    digest = getattr(data, "digest", None)
    if not before or not digest or digest == before:
        return
    if kept is None:
        raise _others(place, "others, by their digest")
    _check_named(place, kept, UNLABELLED, data.x_train, data, called)
    if data.x_test is not None:
        _check_named(place, kept, TEST, data.x_test, data, called)
    tell(
        "Note: the images are decoded a little otherwise here than in the training, "
        "or some of those that the run does not keep are others."
    )


def check_labelled(
    place: str,
    settings: Mapping[str, Any],
    class_names: Sequence[str],
    labelled: LabelledImages,
    kept: KeptImages | None,
) -> None:
    """The same of the labelled images alone.

    Args:
        place, settings, kept: As for `check_same`.
        class_names: One text for each class.
        labelled: What was read.

    Raises:
        RunError: They are others, or have other labels.
    """
    before = settings.get("labels")
    if isinstance(before, dict):
        now = labels_of(class_names, labelled.labels)
        if before.get("digest") != now["digest"]:
            raise _others(place, "other labels")
    part = None if kept is None else kept.parts[LABELLED]
    if part is None or not part.whole:
        return
    if part.images.shape != labelled.images.shape:
        raise _others(place, f"labelled images of the shape {labelled.images.shape}")
    for name, one, other in zip(part.names, part.images, labelled.images, strict=True):
        if _differ(one, other):
            raise _others(place, f"another image for {name!r}")


def _check_named(
    place: str,
    kept: KeptImages,
    role: str,
    images: np.ndarray,
    data: FewLabels,
    called: Callable[[str], str],
) -> None:
    """Compares those that the run keeps of a kind, found by their names."""
    part = kept.parts.get(role)
    attribute = "test_names" if role == TEST else "train_names"
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(getattr(data, attribute, ())):
        rows.setdefault(called(name), []).append(row)
    if part is None:
        return
    for name, image in zip(part.names, part.images, strict=True):
        # Of images in several folders some may be called alike.
        if all(_differ(image, images[row]) for row in rows.get(name, ())):
            raise _others(place, f"another image for {name!r}, or none")


def _differ(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return True
    difference = np.abs(one.astype("float32") - other.astype("float32"))
    return float(difference.mean()) > _MOST_DIFFERENCE


def _others(place: str, received: str) -> RunError:
    return RunError(
        f"The images in {place!r} must be those that the run was trained with. "
        f"Received: {received}. Name the folder that has these with --photos."
    )
