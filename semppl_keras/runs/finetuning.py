"""A classifier out of a finished run, by fine-tuning its network."""

import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from semppl_keras.networks import ImageClassifier, ImageEmbedder
from semppl_keras.recipes.classifiers import CONSISTENCY_STEPS, LABELS
from semppl_keras.recipes.defaults import CLASSIFIER_MEASURING_SHARE
from semppl_keras.runs.balance import (
    class_weight,
    prior_to_adjust_by,
    wanted_shares,
)
from semppl_keras.runs.budget import Budget
from semppl_keras.runs.classifier_files import (
    checkpoint_folder,
    file_digest,
    keep_classifier,
)
from semppl_keras.runs.classifier_training import fine_tune
from semppl_keras.runs.consistency_training import train_consistently
from semppl_keras.runs.embedded import embedded_by
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.followed_classifier import classifier_figures, followed
from semppl_keras.runs.options.checks import AS_LABELLED, CLASSES
from semppl_keras.runs.options.classifier import FineTuningOptions
from semppl_keras.runs.results.trained_classifier import TrainedClassifier
from semppl_keras.runs.run_to_train import run_to_train, seed_of
from semppl_keras.runs.telling import told
from semppl_keras.runs.tracker import Tracker


@told
def finetune(
    run: str | os.PathLike[str],
    *,
    method: str = FineTuningOptions.method,
    from_layer: int | None = None,
    freeze_backbone: bool = False,
    balance: str = FineTuningOptions.balance,
    epochs: int | None = None,
    minutes: float | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    out: str | os.PathLike[str] | None = None,
    log: str | None = None,
    photos: str | os.PathLike[str] | None = None,
    trust: bool = False,
    verbose: int = 1,
) -> TrainedClassifier:
    """Fine-tunes a copy of a run's network on its labelled images.

    Args:
        run: Run folder, or a file that `pack` has written.
        method: "labels" for these alone; or a name of `recipes.consistency`, of a
            training on the unlabelled images, too.
        from_layer: Integer, the layer of the projection head to fine-tune from, 0 for
            the network alone; None for its first.
        freeze_backbone: Whether the network stays as it is.
        balance: What counts alike where classes have unequal numbers of labels:
            "labels" as they are, "classes", or "estimated", by how frequent each class
            is among the images, by what the labels become over a graph of all of them.
        epochs: Passes over the labelled images; None for those of
            `recipes.classifiers.FINE_TUNING`. By another `method` over the unlabelled
            ones; None for as many as make `recipes.classifiers.CONSISTENCY_STEPS`.
        minutes: How long it may take in all, in place of `epochs`: as many steps are
            trained as fit, by the speed of the first ones, which are thrown away.
        learning_rate: At the beginning; None for the recipe's.
        seed: Integer; None for the run's.
        out: Folder to write `classifier.keras` to; None for the run's.
        log: What follows the training beside it: "wandb", "mlflow" or "tensorboard",
            where it is installed. None for nothing.
        photos: Folder in which the images of the run are now; None for where they were.
        trust: Whether the run may be somebody else's.
        verbose: 0 to say nothing, 1 for what the command says, 2 for more.

    Returns:
        `TrainedClassifier`, the dict that `classifier.json` holds.

    Raises:
        RunError: A value is wrong, or what was asked for cannot be done.
        TypeError: A value is of the wrong kind.

    Example:
        >>> finetune("runs/photos", epochs=30)
        >>> finetune("runs/photos", method="freematch", minutes=10)
    """
    return finetune_with(
        FineTuningOptions.of(
            run=run,
            method=method,
            from_layer=from_layer,
            freeze_backbone=freeze_backbone,
            balance=balance,
            epochs=epochs,
            minutes=minutes,
            learning_rate=learning_rate,
            seed=seed,
            out=out,
            log=log,
            photos=photos,
            trust=trust,
        )
    )


def finetune_with(options: FineTuningOptions) -> TrainedClassifier:
    """The same, of options that are filled already."""
    budget = _budget(options)
    with run_to_train(options) as finished:
        begun = time.monotonic()
        from_layer = options.from_layer
        if from_layer is None and not finished.is_trained:
            # Its heads are as they were made.
            from_layer = 0
        chosen: dict[str, Any] = {
            "from_layer": from_layer,
            "seed": seed_of(options, finished),
        }
        if options.balance != AS_LABELLED:
            chosen["balance"] = options.balance
        train_by = _on_labels if options.method == LABELS else _on_all_images
        with followed("finetune", finished, options) as tracker:
            how, classifier, settings = train_by(
                finished, options, chosen, budget, tracker
            )
            trained = keep_classifier(
                options.out, classifier, finished, how, settings, begun
            )
            tracker.conclude(classifier_figures(trained))
        return trained


# A classifier, what it is called and how it was trained.
_Trained = tuple[str, ImageClassifier, dict[str, Any]]


def _on_labels(
    finished: FinishedRun,
    options: FineTuningOptions,
    chosen: Mapping[str, Any],
    budget: Budget | None,
    tracker: Tracker,
) -> _Trained:
    """Fine-tuned on the labelled images alone."""
    images, labels, _ = finished.labelled
    how = "fine-tuned"
    chosen = {
        **chosen,
        "freeze_backbone": options.freeze_backbone,
        "num_labelled": len(images),
    }
    wanted = _wanted(finished, options)
    tuner, settings = fine_tune(
        finished.model,
        images,
        labels,
        len(finished.class_names),
        from_layer=chosen["from_layer"],
        freeze_backbone=options.freeze_backbone,
        class_weight=None if wanted is None else class_weight(wanted, labels),
        epochs=options.epochs,
        budget=budget,
        learning_rate=options.learning_rate,
        seed=chosen["seed"],
        checkpoints=checkpoint_folder(options.out, finished),
        depends_on=_of_run(finished, chosen, how),
        shorten="A lower --epochs takes less.",
        trust=options.trust,
        callbacks=tracker.callbacks(),
    )
    return how, tuner.classifier, {**settings, **chosen}


def _on_all_images(
    finished: FinishedRun,
    options: FineTuningOptions,
    chosen: Mapping[str, Any],
    budget: Budget | None,
    tracker: Tracker,
) -> _Trained:
    """By consistency training on labelled and unlabelled images."""
    data = finished.data
    if len(data.unlabelled_indices) == 0:
        raise RunError(
            f"--method {options.method} must have unlabelled images to learn from. "
            f"Received: the run in {str(finished.named)!r}, all of whose images are "
            f"labelled. Fine-tune on these: --method {LABELS}."
        )
    how = f"trained by {options.method}"
    chosen = {
        **chosen,
        "num_labelled": len(data.labelled_indices),
        "num_unlabelled": len(data.unlabelled_indices),
    }
    wanted, labels = _wanted(finished, options), data.y_labelled
    trainer, settings = train_consistently(
        options.method,
        finished.model,
        data,
        steps=CONSISTENCY_STEPS,
        epochs=options.epochs,
        from_layer=chosen["from_layer"],
        class_prior=None if wanted is None else prior_to_adjust_by(wanted, labels),
        budget=budget,
        learning_rate=options.learning_rate,
        seed=chosen["seed"],
        checkpoints=checkpoint_folder(options.out, finished),
        depends_on=_of_run(finished, chosen, how),
        shorten="A lower --epochs takes less.",
        trust=options.trust,
        callbacks=tracker.callbacks(),
    )
    return how, trainer.classifier, {**settings, **chosen}


def _wanted(finished: FinishedRun, options: FineTuningOptions) -> np.ndarray | None:
    """How much of the training each class is to be, or None for as they are."""
    if options.balance == AS_LABELLED:
        return None
    names, seed = finished.class_names, seed_of(options, finished)
    if options.balance == CLASSES:
        return np.full(len(names), 1 / len(names))
    embedder = ImageEmbedder(finished.model.backbone, finished.model.views)
    of = embedded_by(embedder, finished.data, seed=seed)
    return wanted_shares({"balance": options.balance}, of, names)


def _of_run(
    finished: FinishedRun, chosen: Mapping[str, Any], how: str
) -> dict[str, Any]:
    """What a training out of a run depends on."""
    digest = file_digest(finished.folder / "model.keras")
    return {**chosen, "how": how, "model": digest}


def _budget(options: FineTuningOptions) -> Budget | None:
    """What is left of the minutes, from now on."""
    if options.minutes is None:
        return None
    return Budget(options.minutes, CLASSIFIER_MEASURING_SHARE)
