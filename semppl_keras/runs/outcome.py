"""What a run comes to: of its backbone as it was, and of what training made of it."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from semppl_keras.data import FewLabels
from semppl_keras.evaluation.classifier_titles import TRAINED, title
from semppl_keras.networks import ImageEmbedder
from semppl_keras.pretraining import SemPPL
from semppl_keras.recipes import Recipe
from semppl_keras.runs.candidates import (
    Candidate,
    frozen_probe,
    honest_accuracy,
    pixel_candidate,
    trained_probe,
)
from semppl_keras.runs.choice import chosen, trained_candidates
from semppl_keras.runs.embedded import MOST_IMAGES, Embedded, embedded
from semppl_keras.runs.folder import goes_on
from semppl_keras.runs.frozen import Frozen, frozen_before, measure_frozen
from semppl_keras.runs.measures import (
    measure_labels_alone,
    measure_training,
    probe_predictions,
)
from semppl_keras.runs.prediction_progress import PredictionProgress
from semppl_keras.runs.progress import Progress
from semppl_keras.runs.run_models import FROZEN
from semppl_keras.runs.safety.loading import load_model
from semppl_keras.runs.telling import tell
from semppl_keras.runs.tuned import tuned_before


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What is written down of a run.

    Args:
        metrics: What `metrics.json` holds of it.
        features: `(t, F)` of the test images, or else `(n, F)` of the labelled ones.
        labels: `(t,)` or `(n,)`.
        predictions: The same, of a linear probe; None where nothing could be held out.
        classifier: What that is called.
    """

    metrics: dict[str, Any]
    features: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray | None
    classifier: str


def measured_before(
    folder: pathlib.Path, settings: Mapping[str, Any]
) -> tuple[Frozen | None, dict[str, Candidate]]:
    """What was measured of a training that goes on, of its frozen backbone and of the
    fine-tuned one; None and nothing where not all of it was.

    Raises:
        RunError: A note is damaged.
    """
    tuned = tuned_before(folder, settings)
    frozen = frozen_before(folder, settings)
    if tuned is None or frozen is None or not settings["epochs"]:
        return None, {}
    return frozen, tuned


def frozen_of(
    folder: pathlib.Path,
    settings: Mapping[str, Any],
    data: FewLabels,
    recipe: Recipe,
    make_backbone: Callable[[], keras.Model],
    *,
    trust: bool = False,
) -> Frozen:
    """How good the backbone of a run is before it is trained.

    Args:
        folder: Of the run.
        settings: What `run.json` is to hold.
        data: What it is trained on.
        recipe: By which.
        make_backbone: Gives a backbone as it was before.
        trust: As for `load_model`, of the copy that a run which goes on has of it.
    """
    embedder = frozen_network(folder, settings, recipe, make_backbone, trust=trust)
    trains = settings["epochs"] > 0 or goes_on(settings)
    copied = goes_on(settings) and (folder / FROZEN).is_file()
    return measure_frozen(
        folder,
        embedder,
        data,
        settings,
        keep_network=trains and not copied,
        untrained=not recipe.from_weights,
    )


def frozen_network(
    folder: pathlib.Path,
    settings: Mapping[str, Any],
    recipe: Recipe,
    make_backbone: Callable[[], keras.Model],
    *,
    trust: bool = False,
) -> ImageEmbedder:
    """The backbone of a run as it is before all training, with its views.

    Args:
        folder, settings, recipe, make_backbone, trust: As for `frozen_of`.
    """
    if goes_on(settings) and (folder / FROZEN).is_file():
        return load_model(folder / FROZEN, ImageEmbedder, trust=trust)
    return ImageEmbedder(make_backbone(), recipe.make_views(), name="embedder")


def outcome_of(
    folder: pathlib.Path,
    settings: Mapping[str, Any],
    data: FewLabels,
    model: SemPPL,
    frozen: Frozen | None,
    tuned: Mapping[str, Candidate],
    of: Embedded | None,
    ended: Mapping[str, Candidate],
    make_backbone: Callable[[], keras.Model] | None,
) -> Outcome:
    """Measures a run, with and without a training, and chooses its classifier.

    Args:
        folder, settings, data: As for `frozen_of`.
        model: As training has left it.
        frozen: What its backbone was before, where it came with weights.
        tuned: What it was fine-tuned, likewise.
        of: Features of the model, of `trained_features`; None where it has not been
            trained.
        ended: Classifiers of the ending, by name.
        make_backbone: Gives a new one for the supervised-only baseline, or None.
    """
    tell("Measuring, and training the supervised-only baseline ...")
    seed = settings["seed"]
    candidates: dict[str, Candidate] = {}
    untrained = frozen is not None and frozen.untrained
    if frozen is not None:
        candidates |= {**frozen.candidates, **tuned}
    if of is None:
        assert frozen is not None
        assert frozen.features is not None
        name, of = "frozen_linear", frozen.features
        predictions = probe_predictions(of, frozen_probe(of, seed), seed=seed)
        metrics = measure_labels_alone(data, model.views, None, seed=seed)
    else:
        name = "linear"
        others = {**candidates, **ended}
        unaware = {name: one for name, one in others.items() if name not in TRAINED}
        of = dataclasses.replace(of, honest=honest_accuracy(unaware))
        probe = trained_probe(of, seed)
        predictions = probe_predictions(of, probe, seed=seed)
        metrics = measure_training(
            model, data, make_backbone, of, predictions, seed=seed
        )
        candidates |= trained_candidates(
            model, data, of, probe, metrics["knn_accuracy"], folder=folder, seed=seed
        )
        metrics["propagation_accuracy"] = candidates["propagation"].accuracy
    candidates |= ended
    metrics |= {f"{name}_accuracy": one.accuracy for name, one in ended.items()}
    candidates["pixels"] = pixel_candidate(model, data, seed)
    if make_backbone is None:
        alone = candidates["pixels"].accuracy
        metrics |= {
            "supervised_accuracy": alone,
            "supervised_logistic_regression_accuracy": alone,
        }
    if frozen is not None:
        metrics |= frozen.metrics()
        metrics |= {f"{name}_accuracy": one.accuracy for name, one in tuned.items()}
    if predictions is not None and predictions.min() < 0:
        # Of an image that could not be held out nothing is said.
        predictions = None
    metrics |= {"untrained": untrained, **chosen(candidates)}
    metrics |= _balanced(metrics, candidates)
    return Outcome(metrics, *of.shown(), predictions, title(name, untrained=untrained))


def _balanced(
    metrics: Mapping[str, Any], candidates: Mapping[str, Candidate]
) -> dict[str, Any]:
    """What the accuracies would be if every class counted alike.

    Args:
        metrics: With the name of the `classifier` that is chosen.
        candidates: By name.

    Returns:
        What `metrics.json` holds of it: `balanced_accuracies`, by name those that are
        known, and `classifier_balanced_accuracy`.
    """
    known = {name: one.balanced_accuracy for name, one in candidates.items()}
    known |= metrics.get("balanced_accuracies", {})
    return {
        "balanced_accuracies": {
            name: value for name, value in known.items() if value is not None
        },
        "classifier_balanced_accuracy": known.get(metrics["classifier"]),
    }


def trained_features(
    model: SemPPL, data: FewLabels, seed: int, most: int = MOST_IMAGES
) -> Embedded:
    """What a trained network makes of the images of a run.

    Args:
        model: Of images.
        data: What it was trained on.
        seed: Draws some, where there are more.
        most: To learn from.
    """

    def embed(images: np.ndarray, what: str) -> np.ndarray:
        told = PredictionProgress(Progress("Measuring,"), what, len(images))
        return model.embed(images, callbacks=[told])

    return embedded(embed, data, saw_labels=True, most=most, seed=seed)
