"""A network that learns softly what others take all images for."""

from typing import Any

import keras
import numpy as np

from semppl_keras import backbones
from semppl_keras.classifiers import FineTuner
from semppl_keras.data import FewLabels
from semppl_keras.data.few_labels import rows_of
from semppl_keras.networks import ImageClassifier
from semppl_keras.pretraining import SemPPL
from semppl_keras.recipes.ending import StudentEnding
from semppl_keras.runs.embedded import Embedded
from semppl_keras.runs.fitted_training import fitted_training
from semppl_keras.runs.schedule import Schedule
from semppl_keras.views import mild_views


def train_student(
    ending: StudentEnding,
    data: FewLabels,
    model: SemPPL,
    of: Embedded,
    shares: np.ndarray,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    **training: Any,
) -> tuple[ImageClassifier, dict[str, Any]]:
    """Trains it.

    Args:
        ending: How.
        data: What the run is trained on.
        model: A trained `SemPPL`.
        of: Features of those of the images that are learned from.
        shares: `(n + m, C)` float32, what these are taken for, in their order.
        steps: Of a training that no time is given.
        batch_size: Images per step, where there are as many.
        seed: Of the views, the order and a new network.
        **training: As `fitted_training` takes it.

    Returns:
        The classifier, and how it was trained.
    """
    assert of.rows is not None
    order = np.argsort(of.rows)
    images = rows_of(data.x_train, of.rows[order])
    shares = sharpened(shares, ending.sharpness)
    views = mild_views(model.views)

    def make_compiled(steps: int) -> FineTuner:
        keras.utils.set_random_seed(seed)
        tuner = FineTuner(
            _start(ending, model),
            data.num_classes,
            from_layer=0,
            label_smoothing=ending.label_smoothing,
            views=views,
            weight_average=ending.weight_average,
            seed=seed,
        )
        schedule = keras.optimizers.schedules.CosineDecay(ending.learning_rate, steps)
        tuner.compile(
            keras.optimizers.SGD(
                schedule,
                momentum=0.9,
                nesterov=True,
                weight_decay=ending.weight_decay,
            )
        )
        return tuner

    batch_size = min(batch_size, len(images))
    steps_in_pass = -(-len(images) // batch_size)
    tuner, how = fitted_training(
        "Training a student",
        make_compiled,
        (images, shares[order]),
        {"batch_size": batch_size, "learning_rate": ending.learning_rate},
        usual=Schedule.of_steps(steps, steps_in_pass),
        steps_in_pass=steps_in_pass,
        batch_size=batch_size,
        **training,
    )
    return tuner.classifier, how


def sharpened(shares: np.ndarray, power: float) -> np.ndarray:
    """Shares `(N, C)` to a power, of a sum of 1 again."""
    shares = shares**power
    return shares / shares.sum(axis=1, keepdims=True)


def _start(ending: StudentEnding, model: SemPPL) -> keras.Model:
    """What the student begins as."""
    if ending.backbone is None:
        return model.backbone
    name, arguments = ending.backbone
    channels = model.backbone.input_shape[-1]
    return getattr(backbones, name)(input_shape=(None, None, channels), **arguments)
