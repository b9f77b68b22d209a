"""A classifier fitted to propagated labels."""

from typing import Any

import numpy as np

from semppl_keras.evaluation.inputs import UNKNOWN
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.propagation import spread_labels
from semppl_keras.evaluation.unit_probe import USUAL_C, unit_probe

# How much a given label counts, where another one counts as much as the square of its
# share.
_GIVEN = 3.0
# Shares of the graph are far less certain than they are right.
_SHARPNESS = 2.5


def propagated_probe(
    graph: NeighbourGraph, features: np.ndarray, labels: np.ndarray, num_classes: int
) -> Any:
    """Logistic regression on what `propagate_labels` makes of a few labels.

    What the graph says of an image, and what logistic regression on the labels given
    does, are averaged: one follows what the images have in common, the other is not led
    astray by images that lie between classes. It says the same of any other image. How
    it was found: docs/results/pretrained.md.

    Args:
        graph: `NeighbourGraph` of the features.
        features: `(N, F)`, finite.
        labels: `(N,)` integers in [0, num_classes), at least two classes, and -1 where
            no class is known.
        num_classes: int.

    Returns:
        As `unit_probe`.
    """
    known = labels != UNKNOWN
    probe = unit_probe(features[known], labels[known], c=USUAL_C)
    shares = np.zeros((len(features), num_classes))
    shares[:, probe.classes_] = probe.predict_proba(features)
    spread = spread_labels(graph, labels, num_classes) ** _SHARPNESS
    shares = (shares + spread / spread.sum(axis=1, keepdims=True)) / 2
    guesses, weights = shares.argmax(axis=1), shares.max(axis=1) ** 2
    guesses[known], weights[known] = labels[known], _GIVEN
    return unit_probe(features, guesses, c=USUAL_C, sample_weight=weights)
