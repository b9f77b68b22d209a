"""A classifier fitted to propagated labels."""

from typing import Any

import numpy as np

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
# How much it counts beside logistic regression, which follows each label; and how much
# where labels are doubted.
_GRAPH, _DOUBTING_GRAPH = 0.5, 1.0
# What a stranger is taken for counts so much of that of a member.
_LEAST_MEMBER = 1e-6


def propagated_probe(
    graph: NeighbourGraph,
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    *,
    label_weight: np.ndarray | None = None,
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
        label_weight: `(N,)` positive, how much each given label counts among those of
            its class, as `label_weights` tells; None for all alike. With it the graph
            alone is asked, in which a wrong label is one among many neighbours.
        members: `(N,)` from 0 to 1, how probable it is that an image shows one of the
            classes at all: so much less counts what it is taken for. None for 1 of all.

    Returns:
        As `unit_probe`.
    """
    weights = balanced_label_weights(labels, label_weight)
    share = _GRAPH if label_weight is None else _DOUBTING_GRAPH
    shares = averaged_shares(
        graph, features, labels, num_classes, weights, graph_share=share
    )
    known = labels != UNKNOWN
    guesses, counts = shares.argmax(axis=1), shares.max(axis=1) ** 2
    if members is not None:
        # Hardly any, and not none: who has a class is to have an image of it.
        counts = counts * np.maximum(members, _LEAST_MEMBER)
    guesses[known], counts[known] = labels[known], _GIVEN * weights[known]
    return unit_probe(
        features,
        guesses,
        c=USUAL_C,
        sample_weight=counts,
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
    *,
    graph_share: float = _GRAPH,
) -> np.ndarray:
    """What logistic regression on the labels and the graph say, on the mean.

    Args:
        graph, features, labels, num_classes: As for `propagated_probe`.
        weights: `(N,)`, how much each label counts; of others of no effect.
        graph_share: From 0 to 1, how much the graph counts in the mean.

    Returns:
        `(N, C)`, rows that sum to 1.
    """
    known = labels != UNKNOWN
    probe = unit_probe(
        features[known],
        labels[known],
        c=USUAL_C,
        sample_weight=weights[known],
        balance=False,
    )
    shares = np.zeros((len(features), num_classes))
    shares[:, probe.classes_] = probe.predict_proba(features)
    spread = spread_labels(graph, labels, num_classes, label_weight=weights)
    spread = spread**_SHARPNESS
    spread = spread / spread.sum(axis=1, keepdims=True)
    return (1 - graph_share) * shares + graph_share * spread


def balanced_label_weights(
    labels: np.ndarray, label_weight: np.ndarray | None = None
) -> np.ndarray:
    """Weights with which the labels of every class count alike, their mean being 1.

    Args:
        labels: `(N,)` integers from 0 on, -1 where no class is known.
        label_weight: As for `propagated_probe`.

    Returns:
        `(N,)` float64, 0 where no class is known.

    Example:
        >>> balanced_label_weights(np.array([0, 0, 0, 1, -1]))
        array([0.66666667, 0.66666667, 0.66666667, 2.        , 0.        ])
    """
    known = labels != UNKNOWN
    own = np.ones(len(labels)) if label_weight is None else np.asarray(label_weight)
    weights = np.zeros(len(labels))
    sums = np.bincount(labels[known], own[known])
    even = known.sum() / np.count_nonzero(sums)
    weights[known] = own[known] * even / sums[labels[known]]
    return weights
