"""`semppl train`: one run, from a data set's name to a table and a folder."""

import math
import shutil
import sys
import time

import keras
import numpy as np

from semppl_keras.callbacks import ScalarLogs
from semppl_keras.data.images.decoding import TooManyUnreadable
from semppl_keras.data.images.spreadsheets import inert, table_text
from semppl_keras.pretraining import SemPPL
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import check_model
from semppl_keras.runs.folder import (
    load_data,
    recipe_of,
    save_model,
    user_errors,
    value_range_of,
    versions,
    write_json,
)
from semppl_keras.runs.lock import locked
from semppl_keras.runs.measures import format_table, headline, measure, read_metrics
from semppl_keras.runs.out_paths import check_can_write
from semppl_keras.runs.own_runs import check_sources, signed
from semppl_keras.runs.resuming import begun_training, safe_fit, tell_where
from semppl_keras.runs.safe_loading import check_folder
from semppl_keras.runs.settings import (
    SKIPPED_COLUMNS,
    check_free,
    new_settings,
    run_folder,
    settings_of,
    sources_are_given,
    with_data,
)
from semppl_keras.runs.terminal import shown


def run(arguments):
    """Trains, measures and writes a run folder, as the parsed arguments say.

    Args:
        arguments: Namespace with `dataset`, `labels_per_class`, `epochs`, `batch_size`,
            `learning_rate`, `seed`, `out`, `unlabelled`, `labelled`, `test`,
            `image_size`, `value_range`, `backbone`, `max_skipped`, `cache`,
            `checkpoint_minutes` (None where not given), `trust` and `resume`: None,
            True or a folder.

    Returns:
        The dict that `metrics.json` holds.

    Raises:
        RunError: What the user asked for cannot be done.
        KeyboardInterrupt: On Ctrl-C, in training once the step is done and saved.
    """
    folder = run_folder(arguments)
    check_can_write(folder, folder=True)
    if arguments.resume and not folder.is_dir():
        # Nothing is made where there is no run.
        settings_of(folder, arguments)
    with locked(folder):
        return _run(folder, arguments)


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted a run."""
    folder = run_folder(arguments)
    if not (folder / "run.json").exists():
        return "Nothing was written."
    return f"Go on with: semppl train --resume {folder}"


def _run(folder, arguments):
    """The same in a folder to which nothing else writes meanwhile."""
    if arguments.resume:
        settings = settings_of(folder, arguments)
        check_folder(folder, trust=arguments.trust)
        if (folder / "metrics.json").exists():
            metrics = read_metrics(folder)
            print(f"The run in {folder} is finished: nothing to resume.\n")
            print(format_table(metrics, folder))
            return metrics
        if not sources_are_given(settings, arguments):
            check_sources(folder, settings, trust=arguments.trust)
    else:
        check_free(folder)
        settings = new_settings(arguments)

    recipe = recipe_of(settings)
    begun = time.monotonic()
    data = _load(settings, recipe, folder)
    read_seconds = time.monotonic() - begun
    settings = signed(with_data(settings, data, folder))
    model, state = _trained(folder, settings, data, recipe, arguments)
    with user_errors():
        save_model(model, folder / "model.keras")

    print("Measuring, and training the supervised-only baseline ...", flush=True)
    seed = settings["seed"]
    measured, features, predictions = measure(model, data, recipe, seed=seed)
    metrics = {
        **measured,
        "read_seconds": round(read_seconds, 2),
        "train_seconds": round(state.seconds, 2),
        "backend": keras.backend.backend(),
        "seed": seed,
        "dataset": settings["dataset"],
        "labels_per_class": settings["labels_per_class"],
        "epochs": settings["epochs"],
        "num_labelled": len(data.x_labelled),
        "num_unlabelled": len(data.x_unlabelled),
        "num_test": _num_test(data),
        "num_skipped": len(getattr(data, "skipped", ())),
        "versions": versions(),
        "recipe": recipe.to_dict(),
    }

    from semppl_keras.reports.run_picture import write_report

    write_report(
        folder / "report.png",
        history=state.history,
        embeddings=features,
        labels=data.y_labelled if data.x_test is None else data.y_test,
        predictions=predictions,
        class_names=data.class_names,
        images="labelled" if data.x_test is None else "test",
        title=headline(metrics),
        seed=seed,
    )
    write_json(folder / "history.json", state.history)
    # Last: it marks the run as finished.
    write_json(folder / "metrics.json", metrics)
    # The model has all that is in them.
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    print("\n" + format_table(metrics, folder))
    return metrics


def _trained(folder, settings, data, recipe, arguments):
    """The model after training, or what is left of it, and its `TrainingState`."""
    epochs, seed = settings["epochs"], settings["seed"]
    x_unlabelled = data.x_unlabelled
    batch_size = min(recipe.batch_size, len(x_unlabelled))
    # A second copy of an image would be among its negatives.
    labelled_batch_size = min(recipe.labelled_batch_size, len(data.x_labelled))
    steps_per_epoch = math.ceil(len(x_unlabelled) / batch_size)
    keras.utils.set_random_seed(seed)
    with user_errors():
        model, state = _model(
            folder, data, recipe, seed, steps_per_epoch, arguments.trust
        )
    _check_fits(folder / "checkpoints", model, state, data, epochs)
    _check_enough_images(model.num_negatives, data, batch_size, labelled_batch_size)
    _check_enough_steps(model.neighbours, epochs, steps_per_epoch, labelled_batch_size)
    print(
        f"{shown(data.name)}: {len(x_unlabelled):,} unlabelled and "
        f"{len(data.x_labelled):,} labelled images of {data.num_classes} classes, "
        f"{_num_test(data):,} to test on. Recipe {recipe.name}, {epochs} "
        f"epochs, {keras.backend.backend()}.",
        flush=True,
    )
    for remark in getattr(data, "remarks", ()):
        print(f"Note: {remark}", flush=True)
    if state.step:
        tell_where(state)
    if state.epoch == epochs:
        return model, state

    known = np.any(data.y_hidden >= 0)
    try:
        state = safe_fit(
            model,
            state,
            folder / "checkpoints",
            (x_unlabelled, data.y_hidden) if known else x_unlabelled,
            (data.x_labelled, data.y_labelled),
            minutes=arguments.checkpoint_minutes,
            # An epoch that counts as done is in the logs.
            callbacks=[
                _RunFiles(folder, settings, data),
                ScalarLogs(folder / "logs"),
            ],
            epochs=epochs,
            batch_size=batch_size,
            labelled_batch_size=labelled_batch_size,
            # A bar that moves is for a terminal; a file gets a line per epoch.
            verbose=1 if sys.stdout.isatty() else 2,
        )
    except MemoryError as error:
        raise RunError(
            f"{error} On the command line: --batch-size {max(1, batch_size // 2)}, "
            "with another --out."
        ) from error
    return model, state


class _RunFiles(keras.callbacks.Callback):
    """Writes what makes a folder a run, once it is known that the data fits."""

    def __init__(self, folder, settings, data):
        super().__init__()
        self._folder = folder
        self._settings = settings
        self._skipped = getattr(data, "skipped", ())

    def on_train_begin(self, logs=None):
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(self._folder / "run.json", self._settings)
        if self._skipped:
            _write_skipped(self._folder / "skipped.tsv", self._skipped)
        else:
            # What an attempt before the files were repaired has left.
            (self._folder / "skipped.tsv").unlink(missing_ok=True)


def _check_fits(checkpoints, model, state, data, epochs):
    """What goes on must be the training of this run."""
    check_model(checkpoints, model, data.class_names)
    expected, received = data.x_train.shape[-1], model.backbone.input_shape[-1]
    if received != expected:
        raise RunError(
            f"The checkpoints in {str(checkpoints)!r} must take the run's images, of "
            f"{expected} channel(s). Received: a network for {received}. Remove them "
            "to begin anew."
        )
    if state.epoch + bool(state.batch) > epochs:
        raise RunError(
            f"The checkpoints in {str(checkpoints)!r} must be of the run's {epochs} "
            f"epoch(s). Received: one within epoch {state.epoch + 1}. Remove them to "
            "begin anew."
        )


def _check_enough_images(num_negatives, data, batch_size, labelled_batch_size):
    """A step must hold the images that each is to be told from."""
    missing = num_negatives + 1 - batch_size - labelled_batch_size
    if missing <= 0:
        return
    told = (
        f"Every image is told from {num_negatives} others, so that a step needs at "
        f"least {num_negatives + 1}. Received: "
    )
    if batch_size < len(data.x_unlabelled):
        raise RunError(
            f"{told}{batch_size} unlabelled and {labelled_batch_size} labelled ones "
            f"per step. Train with --batch-size {num_negatives + 1} or more."
        )
    raise RunError(
        f"{told}{len(data.x_unlabelled)} unlabelled image(s) and "
        f"{len(data.x_labelled)} labelled one(s) that can be used. Add at least "
        f"{missing} more unlabelled image(s); some hundreds are worth training on."
    )


def _check_enough_steps(neighbours, epochs, steps_per_epoch, labelled_batch_size):
    """Training must leave in the memory what its votes need."""
    per_epoch = steps_per_epoch * labelled_batch_size
    if epochs * per_epoch < neighbours:
        raise RunError(
            f"The {neighbours} nearest labelled images vote, and {epochs} epoch(s) of "
            f"{steps_per_epoch} step(s) with {labelled_batch_size} labelled image(s) "
            f"would leave {epochs * per_epoch} in the memory. Train longer: --epochs "
            f"{math.ceil(neighbours / per_epoch)} or more."
        )


def _load(settings, recipe, folder):
    labels_per_class = settings["labels_per_class"]
    try:
        data = load_data(
            settings["dataset"],
            labels_per_class,
            settings["seed"],
            recipe,
            folder=folder,
            class_names=settings.get("class_names", ()),
            value_range=value_range_of(settings),
        )
    except RunError as error:
        if not isinstance(error.__cause__, TooManyUnreadable):
            raise
        path = folder / "skipped.tsv"
        with user_errors():
            folder.mkdir(parents=True, exist_ok=True)
            _write_skipped(path, error.__cause__.skipped)
        raise RunError(f"{error} All of them are named in {path}.") from error
    if len(data.unlabelled_indices) == 0:
        raise RunError(
            "There must be unlabelled images to learn from. Received: "
            f"--labels-per-class {labels_per_class}, which makes all "
            f"{len(data.x_train):,} training images labelled ones. Ask for fewer."
        )
    return data


def _num_test(data):
    return 0 if data.x_test is None else len(data.x_test)


def _model(folder, data, recipe, seed, steps_per_epoch, trust):
    """The model to train, and the `TrainingState` in which it is."""
    model, state = begun_training(folder / "checkpoints", SemPPL, trust=trust)
    if model is None:
        model = recipe.make_model(
            data.x_train.shape[-1],
            data.num_classes,
            steps_per_epoch=steps_per_epoch,
            seed=seed,
        )
    return model, state


def _write_skipped(path, skipped):
    # Names need not be text in any encoding.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = [[inert(name), inert(reason)] for name, reason in skipped]
        file.write(table_text([SKIPPED_COLUMNS, *rows], "\t"))
