"""What a run comes to: of its backbone as it was, and of what training made of it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from semppl_keras.data import FewLabels
from semppl_keras.evaluation.classifier_titles import TRAINED, title
from semppl_keras.networks import ImageEmbedder
from semppl_keras.pretraining import SemPPL
from semppl_keras.runs.candidates import (
    Candidate,
    frozen_probe,
    honest_accuracy,
    pixel_candidate,
    trained_probe,
)
from semppl_keras.runs.choice import chosen, trained_candidates
from semppl_keras.runs.embedded import MOST_IMAGES, Embedded, embedded
from semppl_keras.runs.frozen import Frozen, frozen_before, measure_frozen
from semppl_keras.runs.job import Job
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


def measured_before(job: Job) -> tuple[Frozen | None, dict[str, Candidate]]:
    """What was measured of a training that goes on, of its frozen backbone and of the
    fine-tuned one; None and nothing where not all of it was.

    Raises:
        RunError: A note is damaged.
    """
    tuned = tuned_before(job)
    frozen = frozen_before(job)
    if tuned is None or frozen is None or not job.epochs:
        return None, {}
    return frozen, tuned


def frozen_of(job: Job, backbone: keras.Model | None = None) -> Frozen:
    """How good the backbone of a run is before it is trained.

    Args:
        job: The run.
        backbone: What it begins with; None for one that is made, or copied.
    """
    copied = _has_copy(job)
    return measure_frozen(
        job,
        frozen_network(job, backbone),
        keep_network=job.has_learned and not copied,
        untrained=not job.recipe.from_weights,
    )


def frozen_network(job: Job, backbone: keras.Model | None = None) -> ImageEmbedder:
    """The backbone of a run as it is before all training, with its views.

    Args:
        job, backbone: As for `frozen_of`.
    """
    if _has_copy(job):
        return load_model(job.folder / FROZEN, ImageEmbedder, trust=job.trust)
    if backbone is None:
        backbone = job.new_backbone()
    return ImageEmbedder(backbone, job.recipe.make_views(), name="embedder")


def _has_copy(job: Job) -> bool:
    """Of the network that the run which is gone on from began with."""
    return job.goes_on and (job.folder / FROZEN).is_file()


def outcome_of(
    job: Job,
    model: SemPPL,
    frozen: Frozen | None,
    tuned: Mapping[str, Candidate],
    of: Embedded | None,
    ended: Mapping[str, Candidate],
) -> Outcome:
    """Measures a run, with and without a training, and chooses its classifier.

    Args:
        job: The run.
        model: As training has left it.
        frozen: What its backbone was before, where it came with weights.
        tuned: What it was fine-tuned, likewise.
        of: Features of the model, of `trained_features`; None where it has not been
            trained.
        ended: Classifiers of the ending, by name.
    """
    tell("Measuring, and training the supervised-only baseline ...")
    data, seed = job.data, job.seed
    make_backbone = None
    if job.epochs and not job.recipe.from_weights:
        make_backbone = job.network_for_labels_alone
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
            model,
            data,
            of,
            probe,
            metrics["knn_accuracy"],
            folder=job.folder,
            seed=seed,
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
