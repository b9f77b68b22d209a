"""How a network becomes a classifier after pre-training: fine-tuned, distilled."""

import dataclasses
import math
from typing import Any

from semppl_keras.classifiers.defaults import TEMPERATURE
from semppl_keras.recipes.named_consistency import CONSISTENCY_METHODS


@dataclasses.dataclass(frozen=True)
class ClassifierTraining:
    """Settings of a training of a classifier; how long it is follows from the images.

    Args:
        steps: int, as many as the passes over the images make, at least.
        least_epochs: int, passes over the images that are taken all the same.
        batch_size: int, images per step where there are as many.
        learning_rate: float, where it begins; it falls along a cosine.
        temperature: float, of what a teacher says; without one, it has no effect.
        backbone_rate: float, what the learning rate of the backbone is multiplied by,
            or None where all weights have the same.
        weight_decay: float, with a `backbone_rate` alone.
    """

    steps: int
    batch_size: int
    least_epochs: int = 1
    learning_rate: float = 1e-3
    temperature: float = TEMPERATURE
    backbone_rate: float | None = None
    weight_decay: float = 0.0

    def batch_of(self, num_images: int) -> int:
        """Images per step of a training on so many."""
        return min(self.batch_size, num_images)

    def epochs_of(self, num_images: int) -> int:
        """Passes over so many images."""
        return max(self.least_epochs, math.ceil(self.steps / self.steps_in(num_images)))

    def steps_in(self, num_images: int) -> int:
        """Steps of one pass over so many images."""
        return math.ceil(num_images / self.batch_of(num_images))

    def make_optimizer(self, steps: int, learning_rate: float | None = None) -> Any:
        """Adam or `LayerwiseAdamW`, its learning rate falling along a cosine.

        Args:
            steps: int, of the whole training.
            learning_rate: float, another one to begin with, or None.

        Returns:
            A Keras optimiser.
        """
        # The settings are to be had without any backend.
        import keras

        from semppl_keras.optimizers import LayerwiseAdamW

        schedule = keras.optimizers.schedules.CosineDecay(
            learning_rate or self.learning_rate, steps
        )
        if self.backbone_rate is None:
            return keras.optimizers.Adam(schedule)
        return LayerwiseAdamW(
            schedule,
            backbone_rate=self.backbone_rate,
            weight_decay=self.weight_decay,
        )


# Of fine-tuning: on the labels alone, as `FINE_TUNING`, or on all images by a recipe of
# `recipes.consistency`.
LABELS = "labels"
METHODS = (LABELS, *CONSISTENCY_METHODS)
CONSISTENCY_STEPS = 2000

# How both were found: docs/results/settings.md.
FINE_TUNING = ClassifierTraining(steps=300, least_epochs=10, batch_size=64)

# Of a pretrained network on propagated labels: docs/results/pretrained.md.
SELF_TRAINING = ClassifierTraining(
    steps=150,
    batch_size=32,
    learning_rate=1e-3,
    temperature=1.0,
    backbone_rate=0.3,
    weight_decay=1e-2,
)

DISTILLATION = ClassifierTraining(steps=1000, batch_size=128)
