"""How much each class counts in the trainings of a run, by `--balance`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from semppl_keras.evaluation.class_frequencies import balanced_label_weights
from semppl_keras.evaluation.propagated_probe import (
    averaged_shares,
)
from semppl_keras.reports.shown import shown
from semppl_keras.runs.embedded import Embedded
from semppl_keras.runs.options.checks import CLASSES, ESTIMATED
from semppl_keras.runs.telling import tell

# A class that hardly any image is taken for counts so much of an even share: it has
# labels, and so there are images of it.
LEAST_SHARE = 0.1


def wanted_shares(
    settings: Mapping[str, Any], of: Embedded, class_names: Any = None
) -> np.ndarray | None:
    """How much of a training each class is to be.

    Args:
        settings: Of a run or a classifier, whose `balance` counts.
        of: Features of all images, by which it is estimated how frequent classes are.
        class_names: One text for each class, to tell what was estimated; or None.

    Returns:
        `(C,)` shares that sum to 1; None where labels count as they are.
    """
    balance = settings.get("balance")
    if balance == CLASSES:
        return np.full(of.num_classes, 1 / of.num_classes)
    if balance != ESTIMATED:
        return None
    found = estimated_shares(of)
    if class_names is not None:
        told = ", ".join(
            f"{shown(name)} {share:.0%}"
            for name, share in zip(class_names, found, strict=True)
        )
        tell(f"How frequent the classes are, by what their labels become: {told}.")
    return found


def estimated_shares(of: Embedded) -> np.ndarray:
    """How frequent each class is among all images, by what labels become over a graph.

    Args:
        of: Features of all images.

    Returns:
        `(C,)` shares that sum to 1, none of them nearly 0.
    """
    labels = of.of_learned(of.labels)
    weights = balanced_label_weights(labels)
    shares = averaged_shares(of.graph, of.learned, labels, of.num_classes, weights)
    members = np.ones(len(shares)) if of.members is None else of.members
    # An image of which nothing is known tells nothing of how frequent a class is.
    found = np.bincount(shares.argmax(axis=1), members, minlength=of.num_classes)
    found = np.maximum(found / found.sum(), LEAST_SHARE / of.num_classes)
    return found / found.sum()


def class_weight(wanted: np.ndarray, labels: np.ndarray) -> dict[int, float]:
    """Weights with which labels are so much of a loss, their mean being 1.

    Args:
        wanted: `(C,)` shares.
        labels: `(n,)` integers.

    Returns:
        By class, as `FineTuner.fit` takes it; 1 for one without labels.
    """
    counts = np.bincount(labels, minlength=len(wanted))
    present = counts > 0
    even = counts.sum() * wanted / wanted[present].sum()
    weights = np.where(present, even / np.maximum(counts, 1), 1.0)
    return {label: float(weight) for label, weight in enumerate(weights)}


def prior_to_adjust_by(wanted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What labelled logits are adjusted by, so that what is learned has these shares.

    Args:
        wanted: `(C,)` shares.
        labels: `(n,)` integers.

    Returns:
        `(C,)` positive, that sum to 1, as `ConsistencyTrainer` takes `class_prior`.
    """
    counts = np.maximum(np.bincount(labels, minlength=len(wanted)), 1)
    prior = counts / wanted
    return np.asarray(prior / prior.sum())


def repeated_rows(wanted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rows of labelled images, each once or more often, of which classes have shares.

    Args:
        wanted: `(C,)` shares.
        labels: `(n,)` integers.

    Returns:
        `(N,)` indices, N at least n; of a class as many as come nearest to its share
        where the one that has most labels for its share has each of them once.
    """
    counts = np.bincount(labels, minlength=len(wanted))
    present = counts > 0
    total = np.max(counts[present] / wanted[present])
    rows = []
    for label in np.flatnonzero(present):
        own = np.flatnonzero(labels == label)
        rows.append(np.resize(own, max(len(own), round(total * wanted[label]))))
    return np.sort(np.concatenate(rows), kind="stable")
