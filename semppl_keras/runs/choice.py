"""Which of its classifiers a run labels with."""

import pathlib
from collections.abc import Mapping
from typing import Any

from semppl_keras.data import FewLabels
from semppl_keras.evaluation.choosing import choose
from semppl_keras.evaluation.classifier_titles import CONTAINED, TITLES, TRAINED
from semppl_keras.pretraining import SemPPL
from semppl_keras.runs.candidates import (
    Candidate,
    linear_candidate,
    memory_candidate,
    propagated_candidate,
    with_one_optimism,
)
from semppl_keras.runs.embedded import Embedded
from semppl_keras.runs.run_models import save_heads


def trained_candidates(
    model: SemPPL,
    data: FewLabels,
    of: Embedded,
    probe: Any,
    memory_accuracy: float | None,
    *,
    folder: pathlib.Path,
    seed: int,
) -> dict[str, Candidate]:
    """The classifiers of a trained network; those that are not made again are kept.

    Args:
        model: Trained.
        data: What it was trained on.
        of: Its features.
        probe: The linear probe of them.
        memory_accuracy: Of its memory's votes, on the images to test on, or None.
        folder: Of the run.
        seed: Of the folds.

    Returns:
        By name.
    """
    candidates = {
        "linear": linear_candidate(of, probe, seed),
        "propagation": propagated_candidate(of, seed),
        "memory": memory_candidate(model, data, memory_accuracy, seed, of.honest),
    }
    candidates = with_one_optimism(candidates, "linear")
    heads = {name: one.head for name, one in candidates.items() if one.head is not None}
    save_heads(folder, heads)
    return candidates


def chosen(candidates: Mapping[str, Candidate]) -> dict[str, Any]:
    """The best by cross-validation on the labels.

    Args:
        candidates: By name.

    Returns:
        What `metrics.json` holds of it: `classifier`, its name; `classifier_accuracy`,
        on the test images or None; `classifier_cv_accuracies`, by name a dict of `mean`
        and `std_error`, or None where too few labels could be held out;
        `classifier_temperatures`, by name that by which it is as sure as it is right,
        or None likewise.
    """
    measured = {name: one.cross_validation for name, one in candidates.items()}
    name = choose(measured, tuple(TITLES), TRAINED, CONTAINED)
    return {
        "classifier": name,
        "classifier_accuracy": candidates[name].accuracy,
        "classifier_cv_accuracies": {
            other: one and {"mean": one.mean, "std_error": one.std_error}
            for other, one in measured.items()
        },
        "classifier_temperatures": {
            other: one and one.temperature for other, one in measured.items()
        },
    }
