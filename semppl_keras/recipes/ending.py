"""What a run ends with: one more classifier, by how many labels there are."""

import dataclasses
import math
from typing import Any

from semppl_keras.recipes.defaults import SMALL

# Of fewer labels a class a student of the others was better in the time there was, as
# far as that was measured (docs/results/accuracy.md).
_FEW = 1000


@dataclasses.dataclass(frozen=True)
class Combination:
    """What several networks say together: a graph over their features, side by side,
    and kernel ridge regression on what the labels become over it.

    Args:
        images: int, that are joined at the most, labelled ones among them.
        entries: int, of each dictionary of patches, see `backbones.fit_patch_network`.
        directions: int, of the features of each trained network.
        whitening: float in [0, 1], of these.
        semppl_weight: float, of SemPPL's features, where those of patches have 1 and
            labels are many; twice that with one label a class (`weight_of_semppl`).
        network_weight: float, of the features of the network that is trained after it.
        neighbours, power: of the graph, see `evaluation.propagate_labels`.
        restart: float, times the square root of the labels a class, and 0.1 at the
            most: 1 - alpha of the walk over the graph, which is to be the longer the
            fewer labels there are.
        rows: int, of the images that the regression keeps, labelled ones first.
        width, penalty: floats, of the regression, see `evaluation.KernelRidge`.
    """

    images: int = 40_000
    entries: int = 128
    directions: int = 64
    whitening: float = 0.5
    semppl_weight: float = 0.3
    network_weight: float = 0.5
    neighbours: int = 10
    power: float = 10.0
    restart: float = 0.01
    rows: int = 6000
    width: float = 1.0
    penalty: float = 0.1

    def weight_of_semppl(self, labels_per_class: float) -> float:
        """The fewer labels there are, the more of it: of patches a label or two say
        little, while SemPPL has drawn whole classes together."""
        return self.semppl_weight * (1 + 1 / max(1.0, labels_per_class))

    def alpha(self, labels_per_class: float) -> float:
        """Of the walk over the graph, see `evaluation.propagate_labels`."""
        return 1 - min(0.1, self.restart * math.sqrt(labels_per_class))


@dataclasses.dataclass(frozen=True)
class Ending:
    """A classifier that is trained after SemPPL.

    Args:
        name: "student" or "consistency", as the classifier is called.
        steps: int, of its training, of which a run that is not given a time makes no
            more than it has made of SemPPL.
        share: float in (0, 1), of the time for training that it gets of a run that is
            given one.
        batch_size: int, images per step where there are as many: of a consistency
            training unlabelled ones, with labelled ones in proportion.
        backbone: a function of `semppl_keras.backbones` and its arguments, of the
            network that is trained from nothing; None for the run's, from its weights.
        combination: what it says together with the others.
    """

    name: str
    steps: int
    share: float
    batch_size: int
    backbone: tuple[str, dict[str, Any]] | None = None
    combination: Combination = Combination()


@dataclasses.dataclass(frozen=True)
class StudentEnding(Ending):
    """A network that learns what the others say of all images, softly.

    Args:
        sharpness: float, the power that the shares of an image that is not labelled are
            raised to: of shares as soft as a regression gives them it learned less.
        learning_rate: float, of SGD with Nesterov's momentum of 0.9, where it begins;
            it falls along a cosine.
        weight_decay: float.
        label_smoothing: float.
        weight_average: float in [0, 1), the decay of the average of the weights that
            predicts, or None.
    """

    sharpness: float = 4.0
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    weight_average: float | None = 0.99


@dataclasses.dataclass(frozen=True)
class ConsistencyEnding(Ending):
    """A consistency training on all images.

    Args:
        method: str, a name of `recipes.consistency`.
    """

    method: str = "freematch"


def ending_of(
    labels_per_class: float, image_size: int, *, pretrained: bool = False
) -> Ending | None:
    """The ending of a run.

    Images that are not small have none: it would take longer than SemPPL, and nobody
    has measured it.

    Args:
        labels_per_class: float, labelled images divided by classes.
        image_size: int, pixels of a side.
        pretrained: bool, whether the backbone came with weights: it was fine-tuned on
            propagated labels in the beginning.

    Returns:
        An `Ending`, or None for none.

    Example:
        >>> ending_of(4, 28).name, ending_of(4000, 28).name
        ('student', 'consistency')
    """
    if pretrained or image_size > SMALL:
        return None
    if labels_per_class < _FEW:
        return StudentEnding(
            name="student",
            steps=1500,
            share=0.5,
            batch_size=128,
            backbone=("ConvNet", {}),
        )
    return ConsistencyEnding(name="consistency", steps=1500, share=0.6, batch_size=128)
