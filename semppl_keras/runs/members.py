"""Unlabelled images of a run that may show none of its classes."""

import dataclasses

import numpy as np

from semppl_keras.data import FewLabels
from semppl_keras.evaluation import stranger_shares
from semppl_keras.evaluation.propagated_probe import propagated_probe
from semppl_keras.runs.candidates import shares_of
from semppl_keras.runs.embedded import Embedded
from semppl_keras.runs.telling import tell


def with_members(of: Embedded, seed: int) -> Embedded:
    """Features with how probable it is that images show one of the classes.

    By `stranger_shares`, with what propagation takes the images for. How many may show
    none of the classes is told.

    Args:
        of: Of a network that has not seen the labels: by one that has, labelled images
            are like each other as no others are.
        seed: Of `stranger_shares`.

    Returns:
        `Embedded`; as it was where there are no others.
    """
    if not len(of.others):
        return of
    probe = propagated_probe(
        of.graph, of.learned, of.of_learned(of.labels), of.num_classes
    )
    strangers = stranger_shares(
        of.labelled,
        of.labels,
        of.others,
        shares_of(probe, of.others, of.num_classes),
        seed=seed,
    )
    tell(
        f"About {strangers.sum():,.0f} of {len(strangers):,} unlabelled images may "
        "show none of the classes, and count the less for what they are taken for."
    )
    return dataclasses.replace(
        of, members=np.concatenate([np.ones(len(of.labels)), 1 - strangers])
    )


def strange_rows(of: Embedded, data: FewLabels) -> np.ndarray | None:
    """Which unlabelled images are rather strangers than members.

    Args:
        of: Features of images of the run, maybe not of all.
        data: The images.

    Returns:
        `(m,)` bool, for each of `data.x_unlabelled`, or None where nothing is known, or
        nothing would be left.
    """
    if of.members is None or of.rows is None:
        return None
    known = np.zeros(len(data.x_train), bool)
    known[of.rows] = of.members < 0.5
    strangers = known[data.unlabelled_indices]
    return None if strangers.all() else strangers
