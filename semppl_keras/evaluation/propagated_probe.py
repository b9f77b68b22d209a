"""A classifier fitted to propagated labels."""

from typing import Any

import numpy as np

from semppl_keras.evaluation.inputs import UNKNOWN
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.propagation import spread_labels
from semppl_keras.evaluation.unit_probe import USUAL_C, unit_probe

# How much a given label counts, where a propagated one counts as much as its share.
_GIVEN = 3.0


def propagated_probe(
    graph: NeighbourGraph, features: np.ndarray, labels: np.ndarray, num_classes: int
) -> Any:
    """Logistic regression on what `propagate_labels` makes of a few labels.

    It says of any image what the graph says of those that it joins.

    Args:
        graph: `NeighbourGraph` of the features.
        features: `(N, F)`, finite.
        labels: `(N,)` integers in [0, num_classes), at least two classes, and -1 where
            no class is known.
        num_classes: int.

    Returns:
        As `unit_probe`.
    """
    shares = spread_labels(graph, labels, num_classes)
    known = labels != UNKNOWN
    weights = np.where(known, _GIVEN, shares.max(axis=1))
    # As much of every class: no label has come so far.
    reached = known | (np.ptp(shares, axis=1) > 0)
    return unit_probe(
        features[reached],
        shares.argmax(axis=1)[reached],
        c=USUAL_C,
        sample_weight=weights[reached],
    )
