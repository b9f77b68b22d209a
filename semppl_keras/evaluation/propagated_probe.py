"""A classifier fitted to propagated labels."""

from typing import Any

import numpy as np

from semppl_keras.evaluation.class_frequencies import balanced_label_weights
from semppl_keras.evaluation.inputs import UNKNOWN
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.propagation import spread_labels
from semppl_keras.evaluation.unit_probe import USUAL_C, unit_probe

# How far the directions of features are evened out before a graph joins images, and
# how many images it takes to tell which directions there are.
_WHITENING, _LEAST_FOR_DIRECTIONS = 0.3, 500
# How much a given label counts, where another one counts as much as the square of its
# share.
_GIVEN = 3.0
# Shares of the graph are far less certain than they are right.
_SHARPNESS = 2.5
# How much it counts beside logistic regression, which follows each label.
_GRAPH = 0.5
# What a stranger is taken for counts so much of that of a member.
_LEAST_MEMBER = 1e-6


def propagated_probe(
    graph: NeighbourGraph,
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    *,
    label_shares: np.ndarray | None = None,
    members: np.ndarray | None = None,
) -> Any:
    """Logistic regression on what `propagate_labels` makes of a few labels.

    What the graph says of an image, and what logistic regression on the labels given
    does, are averaged: one follows what the images have in common, the other is not led
    astray by images that lie between classes. The last regression sees the features
    as the graph does, evened out where that has directions of its own: few labels do
    not tell which directions matter, and the many that it has by then do. It says the
    same of any other image. How it was found: docs/results/pretrained.md.

    However many labels a class has, together they count as much as those of any other:
    how frequent the classes are is told by the images that the graph gives them, and
    not by how many somebody has labelled (docs/results/labels.md).

    Args:
        graph: `NeighbourGraph` of the features, best with `usual_whitening`.
        features: `(N, F)`, finite.
        labels: `(N,)` integers in [0, num_classes), at least two classes, and -1 where
            no class is known.
        num_classes: int.
        label_shares: `(N, C)`, rows that sum to 1 where a class is known: what images
            are taken for whose labels may be wrong, as `label_shares` tells; of others
            of no effect. None where labels are believed.
        members: `(N,)` from 0 to 1, how probable it is that an image shows one of the
            classes at all: so much less counts what it is taken for. None for 1 of all.

    Returns:
        As `unit_probe`.
    """
    weights = balanced_label_weights(labels, label_shares)
    shares = averaged_shares(graph, features, labels, num_classes, weights)
    known = labels != UNKNOWN
    guesses, counts = shares.argmax(axis=1), shares.max(axis=1) ** 2
    if members is not None:
        # Hardly any, and not none: who has a class is to have an image of it.
        counts = counts * np.maximum(members, _LEAST_MEMBER)
    others = np.flatnonzero(~known)
    given, classes, weights = _entries(labels, weights)
    rows = np.concatenate([others, given])
    guesses = np.concatenate([guesses[others], classes])
    counts = np.concatenate([counts[others], _GIVEN * weights])
    order = np.argsort(rows, kind="stable")
    return unit_probe(
        # Mostly each row once.
        features if len(rows) == len(features) else features[rows[order]],
        guesses[order],
        c=USUAL_C,
        sample_weight=counts[order],
        balance=False,
        directions=graph.directions,
    )


def usual_whitening(num_images: int) -> float:
    """The `whitening` of a graph over so many images: none over a few hundred."""
    return _WHITENING if num_images >= _LEAST_FOR_DIRECTIONS else 0.0


def averaged_shares(
    graph: NeighbourGraph,
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    weights: np.ndarray,
) -> np.ndarray:
    """What logistic regression on the labels and the graph say, on the mean.

    Args:
        graph, features, labels, num_classes: As for `propagated_probe`.
        weights: `(N,)`, how much each label counts, or `(N, C)`, how much of which
            class, as `balanced_label_weights` tells.

    Returns:
        `(N, C)`, rows that sum to 1.
    """
    rows, classes, counts = _entries(labels, weights)
    probe = unit_probe(
        features[rows],
        classes,
        c=USUAL_C,
        sample_weight=counts,
        balance=False,
    )
    shares = np.zeros((len(features), num_classes))
    shares[:, probe.classes_] = probe.predict_proba(features)
    spread = spread_labels(graph, labels, num_classes, label_weight=weights)
    spread = spread**_SHARPNESS
    spread = spread / spread.sum(axis=1, keepdims=True)
    return (1 - _GRAPH) * shares + _GRAPH * spread


def _entries(
    labels: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, classes and weights of labels, each row as often as it has classes."""
    if weights.ndim == 2:
        rows, classes = np.nonzero(weights)
        return rows, classes, weights[rows, classes]
    rows = np.flatnonzero(labels != UNKNOWN)
    return rows, labels[rows], weights[rows]
