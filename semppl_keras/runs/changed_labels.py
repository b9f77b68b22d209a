"""Whether the labels of a run are still those that it was begun with."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from semppl_keras.runs.telling import tell


def labels_of(class_names: Sequence[str], labels: ArrayLike) -> dict[str, Any]:
    """What `run.json` holds of the labelled images, to tell other labels later.

    Args:
        class_names: A text for each class.
        labels: `(n,)` integers, in their order.

    Returns:
        Dict of `digest`, which differs where one label does, and `counts` by class.
    """
    labels = np.asarray(labels, "int64")
    counts = np.bincount(labels, minlength=len(class_names))
    named = "\n".join(str(class_names[label]) for label in labels)
    digest = hashlib.blake2b(named.encode("utf-8", "surrogatepass"))
    return {
        "digest": digest.hexdigest()[:32],
        "counts": {
            str(name): int(count)
            for name, count in zip(class_names, counts, strict=True)
        },
    }


def tell_changed_images(
    settings: Mapping[str, Any], digest: str | None, now: str
) -> bool:
    """Says where images are not those that a run was trained with.

    Args:
        settings: Dict, what `run.json` holds.
        digest: Of those of now, or None where there is none.
        now: What becomes of those of now.

    Returns:
        Whether it was said.
    """
    before = settings.get("images_digest")
    if digest is None or before is None or before == digest:
        return False
    tell(f"Note: the images are not those that the run was trained with; {now}.")
    return True


def tell_changed_labels(
    settings: Mapping[str, Any], labels: Mapping[str, Any], done: str, now: str
) -> bool:
    """Says where labels are not those that a run has known.

    Args:
        settings: Dict, what `run.json` holds; a run begun by an earlier version does
            not know its labels.
        labels: What `labels_of` gives for those of now.
        done: What was done with the earlier ones, such as "begun".
        now: What becomes of those of now.

    Returns:
        Whether it was said.
    """
    before = settings.get("labels")
    if not isinstance(before, dict) or before.get("digest") == labels["digest"]:
        return False
    earlier, counts = before.get("counts"), labels["counts"]
    changes = []
    if isinstance(earlier, dict):
        changes = [
            f"{name!r} {earlier.get(name, 0)} before, {counts.get(name, 0)} now"
            for name in dict.fromkeys((*earlier, *counts))
            if earlier.get(name, 0) != counts.get(name, 0)
        ]
    told = "; ".join(changes[:5]) or "as many of each class, on other images"
    tell(
        f"Note: the labels are not those that the run was {done} with ({told}); {now}."
    )
    return True
