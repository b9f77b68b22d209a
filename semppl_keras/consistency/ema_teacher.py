"""The average of the network that is trained is its teacher."""

from typing import Any

import keras

from semppl_keras.checks import check_share
from semppl_keras.consistency.teacher import Teacher, seen_by
from semppl_keras.networks.copying import copy_model
from semppl_keras.networks.image_classifier import ImageClassifier, copy_classifier
from semppl_keras.training.weight_average import average_weights, decay_at

_STATISTICS = ("average", "copy")


@keras.saving.register_keras_serializable(package="semppl_keras")
class EMATeacher(Teacher):
    """A moving average of the network that is trained, which begins equal to it.

    It runs as in inference: without dropout, and with moving statistics in batch
    normalisation, as in Semi-ViT (Cai et al., NeurIPS 2022, arXiv 2208.05688), whose
    momentum is 0.9999, and in EMAN (arXiv 2101.08482). SimMatch takes 0.999. The first
    steps count more, see `training.weight_average`.

    Args:
        momentum: float in [0, 1].
        statistics: "average" or "copy", how its moving statistics follow those of the
            network: averaged as the weights are, or as they stand.
    """

    def __init__(
        self, momentum: float = 0.9999, statistics: str = "average", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_share(momentum=momentum)
        if statistics not in _STATISTICS:
            raise ValueError(
                f"`statistics` must be one of {_STATISTICS}. Received: "
                f"statistics={statistics!r}."
            )
        self.momentum = momentum
        self.statistics = statistics
        self.classifier: Any = None
        self.projector: Any = None

    def follow_from(
        self, student: ImageClassifier, projector: keras.Model | None
    ) -> None:
        """Copies the networks."""
        super().follow_from(student, projector)
        self.classifier = copy_classifier(student, "teacher")
        if projector is not None:
            with keras.name_scope("teacher"):
                self.projector = copy_model(projector)

    def call(self, views: Any) -> dict[str, Any]:
        """As `Teacher.call`."""
        return seen_by(self.classifier, self.projector, views)

    def follow(
        self,
        student: ImageClassifier,
        projector: keras.Model | None,
        updates: Any,
        completed: Any,
    ) -> None:
        """Moves the average."""
        share = (1.0 - decay_at(updates, self.momentum)) * completed
        statistics_share = completed if self.statistics == "copy" else None
        for average, network in (
            (self.classifier, student),
            (self.projector, projector),
        ):
            if network is not None:
                average_weights(average, network, share, statistics_share)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "statistics": self.statistics,
        }
