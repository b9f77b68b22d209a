"""What a trained model is measured by: at the end of its training, and afterwards."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from semppl_keras.data import FewLabels
from semppl_keras.data.few_labels import rows_of
from semppl_keras.evaluation import (
    SEVERITIES,
    as_pixels,
    balanced_accuracy,
    calibration_curve,
    cross_validated_predictions,
    fit_probe,
    image_graph_accuracy,
    knn_probabilities,
    mean_corruption_error,
    summarize,
    supervised_accuracy,
)
from semppl_keras.evaluation.pixels import PIXEL_PROBE
from semppl_keras.evaluation.robustness import errors_of_classifiers
from semppl_keras.networks import ImageClassifier
from semppl_keras.pretraining import SemPPL
from semppl_keras.pretraining.base import Pretraining
from semppl_keras.recipes.defaults import SMALL
from semppl_keras.reports.counted import counted
from semppl_keras.runs.classifier_training import fine_tune as tuned_network
from semppl_keras.runs.embedded import Embedded
from semppl_keras.runs.prediction_progress import PredictionProgress
from semppl_keras.runs.progress import Progress
from semppl_keras.runs.tasks import Task
from semppl_keras.runs.telling import tell
from semppl_keras.views import MultiCrop, mild_views

# Images `(N, h, w, c)` to probabilities `(N, classes)`.
_Classifier = Callable[[np.ndarray], np.ndarray]

# Wu et al. (2018), who have more than a thousand labelled images of each class.
_MOST_NEIGHBOURS = 200
KNN_TEMPERATURE = 0.07

_TESTED = "images to test on"

# Rows of float64, of 24 kB each, that a probe on pixels is given at once.
_PIXELS_AT_ONCE = 2048

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
        shares = _predicted(model, data.x_test, progress)
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


def measure(
    model: Pretraining,
    task: Task,
    *,
    classifier: tuple[ImageClassifier, str] | None = None,
    is_trained: bool = True,
    untrained: bool = False,
    seed: int = 0,
    fine_tune: bool = False,
    from_layer: int | None = None,
    corruptions: Sequence[str] = (),
    severities: Sequence[int] = SEVERITIES,
) -> dict[str, Any]:
    """Measures a trained model with several classifiers on one task.

    The classifiers, and whatever is chosen for them, see the labelled images alone. On
    a run's own task they are those of `measure_training`.

    Args:
        model: A pre-training model of semppl_keras.
        task: `Task`.
        classifier: That of the run, and what it is called, to be measured, too.
        is_trained: Whether the model has been trained.
        untrained: Whether it is as it was made, at random, and called so.
        seed: Of cross-validation, fine-tuning and corruptions.
        fine_tune: Whether to fine-tune a copy of the network, too.
        from_layer: On what, as `FineTuner` takes it.
        corruptions: Names; with at least one robustness is measured.
        severities: Of the corruptions, out of 1 to 5.

    Returns:
        A dict that `json` can write: `rows`, by classifier its `title`, settings,
        `calibration` and what `summarize` gives; `robustness`, None where it was not
        measured: `severities`, and by classifier `errors`, `mean_error` and
        `mean_corruption_error`, in percent of that of logistic regression on the
        labelled pixels (None where a corruption leaves that without an error).
    """
    method = type(model).__name__
    if not is_trained:
        method = "untrained" if untrained else "frozen"
    classes = len(task.class_names)
    shares: dict[str, np.ndarray] = {}
    rows: dict[str, dict[str, Any]] = {}
    classifiers: dict[str, _Classifier] = {}
    progress = Progress("Fitting,")

    tell("Logistic regression on the labelled pixels ...")
    baseline = fit_probe(
        as_pixels(task.x_labelled),
        task.y_labelled,
        seed=seed,
        progress=progress,
        **PIXEL_PROBE,
    )
    classifiers["logistic_regression"] = lambda x: _by_pixels(baseline, x)
    shares["logistic_regression"] = classifiers["logistic_regression"](task.x_test)
    rows["logistic_regression"] = {"title": "supervised only, logistic regression"}

    tell("Features, nearest neighbours and linear probe ...")
    looking = Progress("Measuring,")
    labelled = _embedded(model, task.x_labelled, "labelled images", looking)
    test = _embedded(model, task.x_test, _TESTED, looking)
    votes = is_trained and getattr(model, "predicts_classes", False)
    if task.labels_of_run and votes:
        shares["memory_knn"] = _predicted(model, task.x_test, looking)
        rows["memory_knn"] = {"title": f"{method}, nearest in its memory"}
    k = usual_neighbours(len(labelled), classes)
    shares["weighted_knn"] = knn_probabilities(
        labelled,
        task.y_labelled,
        test,
        k,
        num_classes=classes,
        temperature=KNN_TEMPERATURE,
    )
    rows["weighted_knn"] = {
        "title": f"{method}, weighted nearest neighbours",
        "k": k,
        "temperature": KNN_TEMPERATURE,
    }
    probe = fit_probe(labelled, task.y_labelled, seed=seed, progress=progress)
    classifiers["linear_probe"] = lambda x: probe.predict_proba(model.embed(x))
    shares["linear_probe"] = probe.predict_proba(test)
    rows["linear_probe"] = {"title": f"{method}, linear probe"}

    if fine_tune:
        if from_layer is None and not is_trained:
            # The heads are as they were made.
            from_layer = 0
        tuner, chosen = tuned_network(
            model,
            task.x_labelled,
            task.y_labelled,
            classes,
            from_layer=from_layer,
            seed=seed,
        )
        classifiers["fine_tuned"] = lambda x: tuner.predict(x, verbose=0)
        shares["fine_tuned"] = _predicted(tuner, task.x_test, looking)
        rows["fine_tuned"] = {"title": f"{method}, fine-tuned", **chosen}

    if classifier is not None:
        network, how = classifier
        shares["classifier"] = _predicted(network, task.x_test, looking)
        rows["classifier"] = {"title": "the run's classifier", "classifier": how}

    for name, row in rows.items():
        row.update(summarize(shares[name], task.y_test))
        row["calibration"] = calibration_curve(shares[name], task.y_test)
    robustness = None
    if corruptions:
        robustness = _robustness(classifiers, task, corruptions, severities, seed)
    return {"rows": rows, "robustness": robustness}


def _by_pixels(probe: Any, images: Any) -> np.ndarray:
    """What a probe on pixels says of images, the pixels of some of them at a time."""
    starts = range(0, len(images), _PIXELS_AT_ONCE)
    return np.concatenate(
        [
            probe.predict_proba(as_pixels(images[start : start + _PIXELS_AT_ONCE]))
            for start in starts
        ]
    )


def usual_neighbours(num_labelled: int, num_classes: int) -> int:
    """How many weighted nearest neighbours are asked.

    More than a class has images could not all be right.
    """
    return min(_MOST_NEIGHBOURS, max(1, num_labelled // num_classes))


def _robustness(
    classifiers: Mapping[str, _Classifier],
    task: Task,
    corruptions: Sequence[str],
    severities: Sequence[int],
    seed: int,
) -> dict[str, Any]:
    of_all = counted(len(corruptions), "corruption", "corruptions")
    strengths = counted(len(severities), "severity", "severities")
    tell(f"Test images under {of_all} at {strengths} ...")
    errors = errors_of_classifiers(
        classifiers,
        task.x_test,
        task.y_test,
        corruptions=corruptions,
        severities=severities,
        seed=seed,
        progress=Progress("Measuring,"),
    )
    baseline = errors["logistic_regression"]
    defined = all(sum(values) > 0 for values in baseline.values())
    return {
        "severities": list(severities),
        "errors": errors,
        "mean_error": {
            name: float(np.mean(list(of_classifier.values())))
            for name, of_classifier in errors.items()
        },
        "mean_corruption_error": {
            name: mean_corruption_error(of_classifier, baseline) if defined else None
            for name, of_classifier in errors.items()
        },
    }


def _embedded(
    model: Pretraining, images: np.ndarray, what: str, progress: Progress
) -> np.ndarray:
    told = PredictionProgress(progress, what, len(images))
    return model.embed(images, callbacks=[told])


def _predicted(
    model: keras.Model, images: np.ndarray, progress: Progress
) -> np.ndarray:
    told = PredictionProgress(progress, _TESTED, len(images))
    return model.predict(images, verbose=0, callbacks=[told])


def _share(correct: np.ndarray) -> float:
    return float(np.mean(correct))
