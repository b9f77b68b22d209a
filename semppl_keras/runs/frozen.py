"""What a network that others have trained gives before it is trained here."""

import dataclasses
from typing import Any

from semppl_keras.evaluation import knn_accuracy
from semppl_keras.networks import ImageEmbedder
from semppl_keras.runs.candidate_notes import read_note, write_note
from semppl_keras.runs.candidates import (
    Candidate,
    frozen_probe,
    linear_candidate,
    propagated_candidate,
)
from semppl_keras.runs.embedded import Embedded, embedded_by
from semppl_keras.runs.job import Job
from semppl_keras.runs.members import with_members
from semppl_keras.runs.run_backbone import BACKBONE
from semppl_keras.runs.run_models import FROZEN, save_heads
from semppl_keras.runs.task_measures import KNN_TEMPERATURE, usual_neighbours
from semppl_keras.runs.telling import tell
from semppl_keras.runs.whole_files import save_model

# Written last: what a training that goes on need not measure again.
_NOTE = "frozen.json"


@dataclasses.dataclass(frozen=True, eq=False)
class Frozen:
    """How good a frozen network is.

    Args:
        knn_accuracy: Of weighted nearest neighbours, or None without test images.
        candidates: By name.
        features: What it was measured on; None where it was measured before.
        untrained: Whether it is as it was made, at random.
    """

    knn_accuracy: float | None
    candidates: dict[str, Candidate]
    features: Embedded | None = None
    untrained: bool = False

    def metrics(self) -> dict[str, Any]:
        """What `metrics.json` holds of it."""
        return {
            "frozen_knn_accuracy": self.knn_accuracy,
            **{
                f"{name}_accuracy": one.accuracy
                for name, one in self.candidates.items()
            },
        }


def measure_frozen(
    job: Job,
    embedder: ImageEmbedder,
    *,
    keep_network: bool,
    untrained: bool = False,
) -> Frozen:
    """Measures a frozen network with classifiers of its features, and keeps these.

    Args:
        job: What is to be trained.
        embedder: The network behind its views.
        keep_network: Whether the network is saved, too, since it is going to change;
            a file that the run has a copy of already is not.
        untrained: Whether it is as it was made, at random.

    Returns:
        `Frozen`.
    """
    tell(f"Measuring the {'untrained network' if untrained else 'frozen backbone'} ...")
    folder, seed = job.folder, job.seed
    of = embedded_by(embedder, job.data, seed=seed)
    if job.settings.get("strangers"):
        of = with_members(of, seed)
    candidates = {
        "frozen_linear": linear_candidate(
            of, frozen_probe(of, seed), seed, keep_head=True
        ),
        "frozen_propagation": propagated_candidate(of, seed),
    }
    knn = None
    if of.test is not None and of.test_labels is not None:
        knn = knn_accuracy(
            of.labelled,
            of.labels,
            of.test,
            of.test_labels,
            usual_neighbours(len(of.labels), of.num_classes),
            temperature=KNN_TEMPERATURE,
        )
    save_heads(folder, {name: one.head for name, one in candidates.items()})
    if keep_network and not (folder / BACKBONE).exists():
        save_model(embedder, folder / FROZEN)
    write_note(folder / _NOTE, job.settings["labels"], candidates, knn)
    return Frozen(knn, candidates, of, untrained)


def frozen_before(job: Job) -> Frozen | None:
    """What was measured of the same labels, or None.

    Args:
        job: A run that may go on.

    Raises:
        RunError: The note is damaged.
    """
    noted = read_note(job.folder / _NOTE, job.settings["labels"])
    if noted is None:
        return None
    candidates, knn = noted
    return Frozen(knn, candidates)
