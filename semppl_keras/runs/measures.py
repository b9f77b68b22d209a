"""What a training is measured by at its end."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from semppl_keras.data import FewLabels
from semppl_keras.data.few_labels import rows_of
from semppl_keras.evaluation import (
    as_pixels,
    balanced_accuracy,
    cross_validated_predictions,
    image_graph_accuracy,
    supervised_accuracy,
)
from semppl_keras.evaluation.pixels import PIXEL_PROBE
from semppl_keras.pretraining import SemPPL
from semppl_keras.recipes.defaults import SMALL
from semppl_keras.runs.embedded import Embedded
from semppl_keras.runs.prediction_progress import PredictionProgress, predicted_on_test
from semppl_keras.runs.progress import Progress
from semppl_keras.views import MultiCrop, mild_views

# Unlabelled images that are asked for their pseudo-labels after training, where only
# the model can tell what they show.
_MOST_PSEUDO_LABELS = 2000


def measure_training(
    model: SemPPL,
    data: FewLabels,
    make_backbone: Callable[[], keras.Model] | None,
    of: Embedded,
    predictions: np.ndarray | None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Measures what a training has come to, and what is had without it.

    Without test images: by cross-validation on the labelled ones, of the classes with
    at least two. That flatters the model, whose network has trained with all of these
    labels, but not the baseline.

    Args:
        model: A trained `SemPPL`.
        data: `FewLabels` with test labels, or without test images.
        make_backbone: Gives a new backbone for the labels alone. None where that of
            the model came with weights, which are more than these; then nothing is
            measured of it.
        of: Features of the model.
        predictions: `probe_predictions` of them.
        seed: Of the baseline and of cross-validation.

    Returns:
        Dict of `balanced_accuracies`, by classifier, on the test images those of the
        "linear" probe and of the "memory"; of `supervised_accuracy` (and the two that
        it is the better of),
        `hog_propagation_accuracy` (None of images above 64 pixels, too),
        `knn_accuracy`, `linear_accuracy`, all on the test images and None without any;
        `cross_validated`, None or a dict of `supervised_logistic_regression_accuracy`,
        `linear_accuracy`, `linear_balanced_accuracy` and `num_labelled`; and
        `pseudo_label_accuracy` on the unlabelled images, None where no hidden label is
        known, or `pseudo_labels` in its place, None or a dict of what some of them are
        taken for.

    Example:
        >>> metrics = measure_training(model, data, make, of, predictions)
        >>> metrics["linear_accuracy"]
    """
    progress = Progress("Measuring,")
    known = data.y_hidden >= 0
    measured: dict[str, Any] = {}
    if known.any():
        unlabelled = rows_of(data.x_train, data.unlabelled_indices[known])
        told = PredictionProgress(progress, "unlabelled images", len(unlabelled))
        predicted, _ = model.pseudo_label(unlabelled, callbacks=[told])
        measured["pseudo_label_accuracy"] = _share(predicted == data.y_hidden[known])
    elif len(known):
        measured["pseudo_labels"] = _pseudo_labels(model, data, seed)
    if data.x_test is not None:
        shares = predicted_on_test(model, data.x_test, progress)
        by_votes = np.argmax(shares, axis=-1)
        measured["knn_accuracy"] = of.accuracy(by_votes)
        measured["linear_accuracy"] = of.accuracy(predictions)
        measured["balanced_accuracies"] = {
            "linear": of.balanced_accuracy(predictions),
            "memory": of.balanced_accuracy(by_votes),
        }
    else:
        measured["cross_validated"] = _cross_validated(of, data, predictions, seed)
    alone = measure_labels_alone(data, model.views, make_backbone, seed=seed)
    return {**alone, **measured}


def measure_labels_alone(
    data: FewLabels,
    views: MultiCrop,
    make_backbone: Callable[[], keras.Model] | None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Measures what is had without pre-training: from the labels alone, and over a
    graph of all images.

    Args:
        data, make_backbone, seed: As for `measure_training`.
        views: Those of the model.

    Returns:
        The dict of `measure_training`, with None for all that is of a model.
    """
    metrics: dict[str, Any] = dict.fromkeys(
        (
            "supervised_accuracy",
            "supervised_logistic_regression_accuracy",
            "supervised_network_accuracy",
            "hog_propagation_accuracy",
            "knn_accuracy",
            "linear_accuracy",
            "pseudo_label_accuracy",
            "pseudo_labels",
            "cross_validated",
        )
    )
    if data.x_test is None:
        return metrics
    progress = Progress("Measuring,")
    # Of larger images histograms of gradients take longer and say less.
    if max(data.x_test.shape[1:3]) <= SMALL:
        metrics["hog_propagation_accuracy"] = image_graph_accuracy(
            data.x_labelled,
            data.y_labelled,
            data.x_unlabelled,
            data.x_test,
            data.y_test,
            seed=seed,
            progress=progress,
        )
    if make_backbone is None:
        return metrics
    keras.utils.set_random_seed(seed)
    mild = mild_views(views)
    # A random state of its own: the training's is left as it is.
    view_seed = keras.random.SeedGenerator(seed)
    supervised = supervised_accuracy(
        data.x_labelled,
        data.y_labelled,
        data.x_test,
        data.y_test,
        make_backbone=make_backbone,
        augment=lambda images: mild(images, seed=view_seed)["large"][:, 0],
        prepare=mild.center_view,
        seed=seed,
        progress=progress,
    )
    return {
        **metrics,
        "supervised_accuracy": supervised.best,
        "supervised_logistic_regression_accuracy": supervised.logistic_regression,
        "supervised_network_accuracy": supervised.network,
    }


def probe_predictions(of: Embedded, probe: Any, *, seed: int = 0) -> np.ndarray | None:
    """What a linear probe says of images that it was not fitted to.

    Args:
        of: Features of a network.
        probe: Fitted to the labelled images.
        seed: Of the folds.

    Returns:
        `(t,)` classes of the images to test on. Without any `(n,)` of the labelled
        ones, by cross-validation, -1 for the only image of a class; or None where fewer
        than two classes have two.
    """
    if of.test is not None:
        return probe.predict(of.test)
    counts = np.bincount(of.labels, minlength=of.num_classes)
    if np.sum(counts >= 2) < 2:
        return None
    # The others could not be held out, and those that can are not to pay for it.
    chosen = counts[of.labels] >= 2
    predictions = np.full(len(chosen), -1)
    predictions[chosen] = cross_validated_predictions(
        of.labelled[chosen],
        of.labels[chosen],
        seed=seed,
        progress=Progress("Measuring,"),
    )
    return predictions


def _cross_validated(
    of: Embedded, data: FewLabels, predictions: np.ndarray | None, seed: int
) -> dict[str, Any] | None:
    """What can be measured on the labels alone."""
    if predictions is None:
        return None
    chosen = predictions >= 0
    labels = of.labels[chosen]
    baseline = cross_validated_predictions(
        as_pixels(data.x_labelled[chosen]),
        labels,
        seed=seed,
        progress=Progress("Measuring,"),
        **PIXEL_PROBE,
    )
    return {
        "supervised_logistic_regression_accuracy": _share(baseline == labels),
        "linear_accuracy": _share(predictions[chosen] == labels),
        "linear_balanced_accuracy": balanced_accuracy(
            predictions[chosen], labels, of.num_classes
        ),
        "num_labelled": int(chosen.sum()),
    }


def _pseudo_labels(model: SemPPL, data: FewLabels, seed: int) -> dict[str, Any]:
    """What some of the unlabelled images are taken for."""
    indices = data.unlabelled_indices
    if len(indices) > _MOST_PSEUDO_LABELS:
        generator = np.random.default_rng(seed)
        indices = np.sort(generator.choice(indices, _MOST_PSEUDO_LABELS, replace=False))
    labels, confidences = model.pseudo_label(data.x_train[indices])
    counts = np.bincount(labels, minlength=data.num_classes)
    return {
        "num_images": len(indices),
        "mean_confidence": float(np.mean(confidences)),
        "share_by_class": {
            name: float(count / len(indices))
            for name, count in zip(data.class_names, counts, strict=True)
        },
    }


def _share(correct: np.ndarray) -> float:
    return float(np.mean(correct))
