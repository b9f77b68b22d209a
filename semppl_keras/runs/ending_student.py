"""A network that learns what a few labels become over a graph of all images."""

from typing import Any

import keras
import numpy as np

from semppl_keras import backbones
from semppl_keras.classifiers import FineTuner
from semppl_keras.classifiers.consistency_parts import mild_views
from semppl_keras.data import FewLabels
from semppl_keras.data.few_labels import rows_of
from semppl_keras.evaluation import hog_features
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.propagation import spread_labels
from semppl_keras.networks import ImageClassifier
from semppl_keras.pretraining import SemPPL
from semppl_keras.recipes.ending import StudentEnding
from semppl_keras.runs.embedded import Embedded
from semppl_keras.runs.fitted_training import fitted_training
from semppl_keras.runs.progress import Progress
from semppl_keras.runs.schedule import Schedule


def train_student(
    ending: StudentEnding,
    data: FewLabels,
    model: SemPPL,
    of: Embedded,
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
    shares, weights = soft_labels(ending, data, of)
    views = mild_views(model)

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
        sample_weight=weights[order],
        **training,
    )
    return tuner.classifier, how


def soft_labels(
    ending: StudentEnding, data: FewLabels, of: Embedded
) -> tuple[np.ndarray, np.ndarray]:
    """What the labels become over a graph.

    Args:
        ending, data, of: As for `train_student`.

    Returns:
        Shares `(n + m, C)` float32 of the classes, rows that sum to 1, of the images in
        the order of the features; and what each counts, `(n + m,)` float32.
    """
    assert of.rows is not None
    features = unit(of.learned)
    if ending.histograms:
        gradients = hog_features(data.x_train[of.rows])
        features = np.concatenate([features, unit(gradients)], axis=1)
    labelled = np.arange(len(features)) < len(of.labels)
    graph = NeighbourGraph(
        features,
        labelled,
        neighbours=ending.neighbours,
        power=ending.power,
        max_exact=max(2, len(features)),
        progress=Progress("Measuring,"),
    )
    counts = np.bincount(of.labels, minlength=of.num_classes)
    shares = spread_labels(
        graph,
        of.of_learned(of.labels),
        of.num_classes,
        class_prior=counts / counts.sum(),
    )
    shares = shares**ending.sharpness
    shares /= shares.sum(axis=1, keepdims=True)
    weights = np.where(
        labelled, ending.labelled_weight, shares.max(axis=1) ** ending.certainty
    )
    return shares.astype("float32"), weights.astype("float32")


def unit(features: np.ndarray) -> np.ndarray:
    """Rows of length 1; those of zeros stay."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)


def _start(ending: StudentEnding, model: SemPPL) -> keras.Model:
    """What the student begins as."""
    if ending.backbone is None:
        return model.backbone
    name, arguments = ending.backbone
    channels = model.backbone.input_shape[-1]
    return getattr(backbones, name)(input_shape=(None, None, channels), **arguments)
