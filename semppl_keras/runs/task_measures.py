"""What a finished run is measured by on a task: classifiers beside each other."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from semppl_keras.evaluation import (
    SEVERITIES,
    as_pixels,
    calibration_curve,
    fit_probe,
    knn_probabilities,
    mean_corruption_error,
    summarize,
)
from semppl_keras.evaluation.pixels import PIXEL_PROBE
from semppl_keras.evaluation.robustness import errors_of_classifiers
from semppl_keras.networks import ImageClassifier
from semppl_keras.pretraining.base import Pretraining
from semppl_keras.reports.counted import counted
from semppl_keras.runs.classifier_training import fine_tune as tuned_network
from semppl_keras.runs.prediction_progress import (
    TESTED,
    PredictionProgress,
    predicted_on_test,
)
from semppl_keras.runs.progress import Progress
from semppl_keras.runs.tasks import Task
from semppl_keras.runs.telling import tell

# Images `(N, h, w, c)` to probabilities `(N, classes)`.
_Classifier = Callable[[np.ndarray], np.ndarray]

# Wu et al. (2018), who have more than a thousand labelled images of each class.
_MOST_NEIGHBOURS = 200
KNN_TEMPERATURE = 0.07

# Rows of float64, of 24 kB each, that a probe on pixels is given at once.
_PIXELS_AT_ONCE = 2048


@dataclasses.dataclass(frozen=True, eq=False)
class _Row:
    """A classifier of the table.

    Args:
        title: What it is called.
        shares: `(t, classes)`, what it says of the images to test on.
        settings: What else is told of it.
        classify: It itself, to be asked of corrupted images; None to leave it out.
    """

    title: str
    shares: np.ndarray
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    classify: _Classifier | None = None


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
    looking = Progress("Measuring,")
    rows = {"logistic_regression": _of_pixels(task, seed)}
    rows |= _of_features(model, task, method, seed, looking, votes=is_trained)
    if fine_tune:
        if from_layer is None and not is_trained:
            # The heads are as they were made.
            from_layer = 0
        rows["fine_tuned"] = _fine_tuned(
            model, task, method, seed, looking, from_layer=from_layer
        )
    if classifier is not None:
        network, how = classifier
        rows["classifier"] = _Row(
            "the run's classifier",
            predicted_on_test(network, task.x_test, looking),
            {"classifier": how},
        )
    robustness = None
    if corruptions:
        asked = {name: row.classify for name, row in rows.items() if row.classify}
        robustness = _robustness(asked, task, corruptions, severities, seed)
    return {
        "rows": {
            name: {
                "title": row.title,
                **row.settings,
                **summarize(row.shares, task.y_test),
                "calibration": calibration_curve(row.shares, task.y_test),
            }
            for name, row in rows.items()
        },
        "robustness": robustness,
    }


def _of_pixels(task: Task, seed: int) -> _Row:
    """What the labels alone give."""
    tell("Logistic regression on the labelled pixels ...")
    probe = fit_probe(
        as_pixels(task.x_labelled),
        task.y_labelled,
        seed=seed,
        progress=Progress("Fitting,"),
        **PIXEL_PROBE,
    )

    def classify(images: np.ndarray) -> np.ndarray:
        # The pixels of some of them at a time.
        starts = range(0, len(images), _PIXELS_AT_ONCE)
        return np.concatenate(
            [
                probe.predict_proba(as_pixels(images[start : start + _PIXELS_AT_ONCE]))
                for start in starts
            ]
        )

    title = "supervised only, logistic regression"
    return _Row(title, classify(task.x_test), classify=classify)


def _of_features(
    model: Pretraining,
    task: Task,
    method: str,
    seed: int,
    looking: Progress,
    *,
    votes: bool,
) -> dict[str, _Row]:
    """What the model's features give, and its memory, where that knows these classes
    and its `votes` are wanted."""
    tell("Features, nearest neighbours and linear probe ...")
    labelled = _embedded(model, task.x_labelled, "labelled images", looking)
    test = _embedded(model, task.x_test, TESTED, looking)
    rows: dict[str, _Row] = {}
    if task.labels_of_run and votes and getattr(model, "predicts_classes", False):
        rows["memory_knn"] = _Row(
            f"{method}, nearest in its memory",
            predicted_on_test(model, task.x_test, looking),
        )
    classes = len(task.class_names)
    k = usual_neighbours(len(labelled), classes)
    rows["weighted_knn"] = _Row(
        f"{method}, weighted nearest neighbours",
        knn_probabilities(
            labelled,
            task.y_labelled,
            test,
            k,
            num_classes=classes,
            temperature=KNN_TEMPERATURE,
        ),
        {"k": k, "temperature": KNN_TEMPERATURE},
    )
    probe = fit_probe(
        labelled, task.y_labelled, seed=seed, progress=Progress("Fitting,")
    )
    rows["linear_probe"] = _Row(
        f"{method}, linear probe",
        probe.predict_proba(test),
        classify=lambda images: probe.predict_proba(model.embed(images)),
    )
    return rows


def _fine_tuned(
    model: Pretraining,
    task: Task,
    method: str,
    seed: int,
    looking: Progress,
    *,
    from_layer: int | None,
) -> _Row:
    tuner, settings = tuned_network(
        model,
        task.x_labelled,
        task.y_labelled,
        len(task.class_names),
        from_layer=from_layer,
        seed=seed,
    )
    return _Row(
        f"{method}, fine-tuned",
        predicted_on_test(tuner, task.x_test, looking),
        settings,
        lambda images: tuner.predict(images, verbose=0),
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
