"""Fine-tuning and distillation as commands do them, and where their results go."""

import hashlib
import math
import os
import pathlib
import shutil
import time

import keras
import numpy as np

from semppl_keras.classifiers import Distiller, FineTuner
from semppl_keras.evaluation import summarize
from semppl_keras.runs.finished import CLASSIFIER
from semppl_keras.runs.folder import (
    user_errors,
    versions,
    write_json,
)
from semppl_keras.runs.resuming import resumable_fit

# By threefold cross-validation on the 100 labelled digits of one run alone: at this
# learning rate 300 steps had a better held-out likelihood than 100, and so many at
# three times the rate a lower accuracy.
_FINE_TUNING_STEPS = 300
_FINE_TUNING_LEAST_EPOCHS = 10
_FINE_TUNING_BATCH = 64
_LEARNING_RATE = 1e-3

# benchmarks/accuracy.py distils digits for some 300 steps and Fashion-MNIST for some
# 940, with this batch.
_DISTILLATION_STEPS = 1000
_DISTILLATION_BATCH = 128


def fine_tune(
    model,
    images,
    labels,
    num_classes,
    *,
    from_layer=None,
    freeze_backbone=False,
    epochs=None,
    learning_rate=None,
    seed=0,
    checkpoints=None,
    depends_on=None,
    trust=False,
    verbose=0,
):
    """Fine-tunes a copy of a pre-trained network.

    Args:
        model: A pre-training model of semppl_keras.
        images: `(n, h, w, c)`.
        labels: `(n,)` integers.
        num_classes: How many classes there are.
        from_layer, freeze_backbone: As for `FineTuner`.
        epochs: Passes over the images; None for as many as make 300 steps, at least
            ten.
        learning_rate: At the beginning of its cosine; None for 1e-3.
        seed: Of views, order and the linear layer.
        checkpoints: `pathlib.Path` of a folder for them, to go on from; None for none.
        depends_on: Dict of what else the training depends on, as JSON has it.
        trust: Whether its checkpoints may name what is not known here.
        verbose: As in `keras.Model.fit`.

    Returns:
        A `FineTuner` after training, and the settings that it was trained with.

    Raises:
        RunError: The network cannot be fine-tuned so.
    """
    batch_size = min(_FINE_TUNING_BATCH, len(images))
    steps_per_epoch = math.ceil(len(images) / batch_size)
    if epochs is None:
        epochs = max(
            _FINE_TUNING_LEAST_EPOCHS, math.ceil(_FINE_TUNING_STEPS / steps_per_epoch)
        )
    learning_rate = learning_rate or _LEARNING_RATE
    steps = epochs * steps_per_epoch
    print(f"Fine-tuning the network, {steps:,} steps ...", flush=True)
    settings = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
    }

    def make_tuner():
        keras.utils.set_random_seed(seed)
        with user_errors():
            tuner = FineTuner(
                model,
                num_classes,
                from_layer=from_layer,
                freeze_backbone=freeze_backbone,
                seed=seed,
            )
        tuner.compile(_decayed_adam(learning_rate, steps))
        return tuner

    tuner = resumable_fit(
        make_tuner,
        checkpoints,
        {**settings, **(depends_on or {})},
        images,
        labels,
        epochs=epochs,
        batch_size=batch_size,
        trust=trust,
        verbose=verbose,
    )
    return tuner, settings


def distil(
    student,
    teacher,
    images,
    *,
    temperature=1.0,
    epochs=None,
    learning_rate=None,
    seed=0,
    checkpoints=None,
    depends_on=None,
    trust=False,
    verbose=0,
):
    """Teaches a network what a classifier says of images.

    Args:
        student: As for `Distiller`.
        teacher: `ImageClassifier`.
        images: `(N, h, w, c)`.
        temperature: Positive.
        epochs: Passes over the images; None for as many as make 1,000 steps.
        learning_rate: At the beginning of its cosine; None for 1e-3.
        seed: Of views, order and the linear layer.
        checkpoints: `pathlib.Path` of a folder for them, to go on from; None for none.
        depends_on: Dict of what else the training depends on, as JSON has it.
        trust: Whether its checkpoints may name what is not known here.
        verbose: As in `keras.Model.fit`.

    Returns:
        A `Distiller` after training, and the settings that it was trained with.

    Raises:
        RunError: The student cannot learn from this teacher.
    """
    batch_size = min(_DISTILLATION_BATCH, len(images))
    steps_per_epoch = math.ceil(len(images) / batch_size)
    if epochs is None:
        epochs = math.ceil(_DISTILLATION_STEPS / steps_per_epoch)
    learning_rate = learning_rate or _LEARNING_RATE
    steps = epochs * steps_per_epoch
    print(f"Distilling, {steps:,} steps ...", flush=True)
    settings = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "temperature": temperature,
    }

    def make_distiller():
        keras.utils.set_random_seed(seed)
        with user_errors():
            distiller = Distiller(student, teacher, temperature=temperature, seed=seed)
        distiller.compile(_decayed_adam(learning_rate, steps))
        return distiller

    distiller = resumable_fit(
        make_distiller,
        checkpoints,
        {**settings, **(depends_on or {})},
        images,
        epochs=epochs,
        batch_size=batch_size,
        trust=trust,
        verbose=verbose,
    )
    return distiller, settings


def checkpoint_folder(out, finished):
    """Where a training that is not at its end is kept, until `keep_classifier`.

    Args:
        out, finished: As for `keep_classifier`.

    Returns:
        `pathlib.Path`.
    """
    return pathlib.Path(out or finished.folder) / "classifier_checkpoints"


def file_digest(path):
    """What tells a file from what was under its name before, of one size and time too.

    Args:
        path: `pathlib.Path`.

    Returns:
        str.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


def keep_classifier(out, classifier, finished, how, settings, begun):
    """Writes a classifier and a note about it, and tells how good it is.

    An earlier one there is kept under another name.

    Args:
        out: Folder, or None for the run's.
        classifier: `ImageClassifier`; it gets the names of the run's classes.
        finished: `FinishedRun`, on whose test images, if there are any, it is measured.
        how: What it is called, such as "fine-tuned".
        settings: Dict of what it was trained with.
        begun: When, by `time.monotonic`, that began.

    Returns:
        The dict that `classifier.json` holds: `how`, `settings`, `test` (what
        `summarize` gives, or None) and others.
    """
    seconds = time.monotonic() - begun
    folder = pathlib.Path(out or finished.folder)
    classifier.class_names = finished.class_names
    tested = finished.test
    measured = None
    if tested is not None:
        shares = classifier.predict(tested.images, verbose=0)
        measured = summarize(shares, tested.labels)
    note = {
        "how": how,
        "settings": settings,
        "test": measured,
        "num_test": 0 if tested is None else len(tested.images),
        "class_names": list(finished.class_names),
        "seconds": round(seconds, 2),
        "backend": keras.backend.backend(),
        "versions": versions(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    # Keras wants the name to end in .keras.
    partial = folder / "classifier.partial.keras"
    classifier.save(partial)
    path = folder / CLASSIFIER
    earlier = _rename(path) if path.exists() else None
    write_json(path.with_suffix(".json"), note)
    os.replace(partial, path)
    shutil.rmtree(checkpoint_folder(out, finished), ignore_errors=True)
    _tell_measured(note, finished, path, earlier)
    return note


def _tell_measured(note, finished, path, earlier):
    """Prints how good a classifier is, beside the run's linear probe.

    Args:
        note: As `keep_classifier` returns it.
        finished: `FinishedRun`.
        path: `pathlib.Path` of the classifier.
        earlier: The same of the one that was there before, or None.
    """
    worse, of_run = False, path.parent.resolve() == finished.folder.resolve()
    if note["test"] is None:
        print("Not measured: the run has no labelled test images.")
    else:
        tested = finished.test
        probe = finished.linear_classifier().predict(tested.images, verbose=0)
        accuracy = np.mean(probe.argmax(axis=1) == tested.labels)
        print(f"accuracy on {note['num_test']:,} test images")
        print(f"  {note['how']:<16}{note['test']['top1']:>8.1%}")
        print(f"  {'linear probe':<16}{accuracy:>8.1%}")
        worse = note["test"]["top1"] < accuracy
    if of_run:
        print(f"{path}: semppl export, semppl label and semppl report use it from now.")
    else:
        print(
            f"{path}: semppl export, semppl label and semppl report use it with "
            "--classifier."
        )
    if worse and of_run:
        print(
            f"Warning: the {note['how']} classifier is less accurate than the linear "
            "probe, and semppl label, semppl export and semppl report use it in its "
            f"place. To go back to the linear probe: remove or rename {path}."
        )
        if earlier is not None:
            print(f"To go back to the classifier before: rename {earlier} to {path}.")
    elif worse:
        print(
            f"Warning: the {note['how']} classifier is less accurate than the linear "
            "probe, which semppl label, semppl export and semppl report use without "
            "--classifier where the run has no other."
        )


def _decayed_adam(learning_rate, steps):
    return keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    )


def _rename(path):
    """Gives a classifier and its note another name: the path of the former."""
    number = 1
    while path.with_name(f"{path.stem}_{number}{path.suffix}").exists():
        number += 1
    for old in (path.with_suffix(".json"), path):
        if old.exists():
            os.replace(old, old.with_name(f"{old.stem}_{number}{old.suffix}"))
    return path.with_name(f"{path.stem}_{number}{path.suffix}")
