"""`semppl train`: one run, from a data set's name to a table and a folder."""

import json
import math
import os
import pathlib
import re
import sys
import time
import zipfile

import keras
import numpy as np

from semppl_keras.callbacks import ScalarLogs
from semppl_keras.cli.run_folder import (
    CommandError,
    load_data,
    recipe_of,
    resolved,
    user_errors,
    versions,
    write_json,
)
from semppl_keras.evaluation import linear_probe, supervised_accuracy

_DEFAULTS = {"dataset": "digits", "labels_per_class": 10, "epochs": None, "seed": 0}

# What makes a folder a run folder, and what a new run would overwrite.
_FILES = (
    "run.json",
    "checkpoint.keras",
    "history.json",
    "model.keras",
    "metrics.json",
    "report.png",
    "logs",
)
# An entry of our own in the checkpoint's archive, which Keras does not look at: the
# weights and what belongs to them become visible together or not at all.
_PROGRESS_ENTRY = "semppl_progress.json"
_SECONDS_BETWEEN_CHECKPOINTS = 10


def run(arguments):
    """Trains, measures and writes a run folder, as the parsed arguments say.

    Args:
        arguments: Namespace with `dataset`, `labels_per_class`, `epochs`, `seed`,
            `out` (None where not given) and `resume`.

    Returns:
        The dict that `metrics.json` holds.

    Raises:
        CommandError: What the user asked for cannot be done.
    """
    folder = run_folder(arguments)
    if arguments.resume:
        settings = _settings_of(folder, arguments)
        if (folder / "metrics.json").exists():
            metrics = json.loads((folder / "metrics.json").read_text())
            print(f"The run in {folder} is finished: nothing to resume.\n")
            print(format_table(metrics, folder))
            return metrics
    else:
        _check_free(folder)
        settings = _new_settings(arguments)

    seed = settings["seed"]
    recipe = recipe_of(settings["dataset"], settings["epochs"])
    data = _load(settings, recipe)
    x_unlabelled = data.x_unlabelled
    batch_size = min(recipe.batch_size, len(x_unlabelled))
    keras.utils.set_random_seed(seed)
    with user_errors():
        steps_per_epoch = math.ceil(len(x_unlabelled) / batch_size)
        model, progress = _model(folder, data, recipe, seed, steps_per_epoch)
    print(
        f"{data.name}: {len(x_unlabelled):,} unlabelled and "
        f"{len(data.x_labelled):,} labelled images of {data.num_classes} classes, "
        f"{len(data.x_test):,} to test on. Recipe {recipe.name}, {settings['epochs']} "
        f"epochs, {keras.backend.backend()}.",
        flush=True,
    )
    if progress["epochs_done"]:
        print(f"Going on after epoch {progress['epochs_done']}.", flush=True)
    checkpoint = _Checkpoint(folder, settings, progress)
    if progress["epochs_done"] < settings["epochs"]:
        with user_errors():
            model.fit(
                (x_unlabelled, data.y_hidden),
                (data.x_labelled, data.y_labelled),
                epochs=settings["epochs"],
                initial_epoch=progress["epochs_done"],
                batch_size=batch_size,
                # A second copy of an image would be among its negatives.
                labelled_batch_size=min(
                    recipe.labelled_batch_size, len(data.x_labelled)
                ),
                # The logs first: an epoch that counts as done is in them.
                callbacks=[ScalarLogs(folder / "logs"), checkpoint],
                # A bar that moves is for a terminal; a file gets a line per epoch.
                verbose=1 if sys.stdout.isatty() else 2,
            )
    model.save(folder / "model.keras")

    print("Measuring, and training the supervised-only baseline ...", flush=True)
    measured, test_features, predictions = measure(model, data, recipe, seed=seed)
    metrics = {
        **measured,
        "train_seconds": round(checkpoint.train_seconds, 2),
        "backend": keras.backend.backend(),
        "seed": seed,
        "dataset": settings["dataset"],
        "labels_per_class": settings["labels_per_class"],
        "epochs": settings["epochs"],
        "num_labelled": len(data.x_labelled),
        "num_unlabelled": len(x_unlabelled),
        "num_test": len(data.x_test),
        "versions": versions(),
        "recipe": recipe.to_dict(),
    }
    write_json(folder / "history.json", checkpoint.history)

    from semppl_keras.cli.report import write_report

    write_report(
        folder / "report.png",
        history=checkpoint.history,
        embeddings=test_features,
        labels=data.y_test,
        predictions=predictions,
        class_names=data.class_names,
        title=_headline(metrics),
        seed=seed,
    )
    # Last: it marks the run as finished.
    write_json(folder / "metrics.json", metrics)
    print("\n" + format_table(metrics, folder))
    return metrics


def measure(model, data, recipe, *, seed=0):
    """Measures a trained model and the supervised-only baseline on one data set.

    Args:
        model: A trained `SemPPL`.
        data: `FewLabels` with test labels.
        recipe: The `Recipe` it was trained by: the baseline gets its backbone.
        seed: Of the baseline and of the probe's cross-validation.

    Returns:
        metrics: Dict of `supervised_accuracy` (and the two that it is the better of),
            `knn_accuracy`, `linear_accuracy`, all on the test images, and
            `pseudo_label_accuracy` on the unlabelled ones, None where no hidden
            label is known.
        test_features: `(M, F)` backbone features of the test images.
        predictions: `(M,)` the linear probe's classes for them.

    Example:
        >>> metrics, features, predictions = measure(model, data, recipe)
        >>> metrics["linear_accuracy"]
    """
    shares = model.predict(data.x_test, verbose=0)
    test_features = model.embed(data.x_test)
    probe = linear_probe(model.embed(data.x_labelled), data.y_labelled, seed=seed)
    predictions = probe.predict(test_features)

    known = data.y_hidden >= 0
    pseudo_label_accuracy = None
    if known.any():
        pseudo_labels, _ = model.pseudo_label(data.x_unlabelled[known])
        pseudo_label_accuracy = _share(pseudo_labels == data.y_hidden[known])

    keras.utils.set_random_seed(seed)
    channels = data.x_train.shape[-1]
    # The baseline gets SemPPL's own augmentation, with a random state of its own.
    view_seed = keras.random.SeedGenerator(seed)
    supervised = supervised_accuracy(
        data.x_labelled,
        data.y_labelled,
        data.x_test,
        data.y_test,
        make_backbone=lambda: recipe.make_backbone(channels),
        augment=lambda images: model.views(images, seed=view_seed)["large"][:, 0],
        prepare=model.views.center_view,
        seed=seed,
    )
    metrics = {
        "supervised_accuracy": supervised.best,
        "supervised_logistic_regression_accuracy": supervised.logistic_regression,
        "supervised_network_accuracy": supervised.network,
        "knn_accuracy": _share(np.argmax(shares, axis=-1) == data.y_test),
        "linear_accuracy": _share(predictions == data.y_test),
        "pseudo_label_accuracy": pseudo_label_accuracy,
    }
    return metrics, test_features, predictions


def format_table(metrics, folder):
    """Lays out what `metrics.json` holds as the table that a run ends with.

    Args:
        metrics: The dict that `run` returns.
        folder: Where the run is.

    Returns:
        Several lines of text.
    """
    regression = metrics["supervised_logistic_regression_accuracy"]
    network = metrics["supervised_network_accuracy"]
    rows = [
        (
            "supervised only, the same labels",
            metrics["supervised_accuracy"],
            f"logistic regression {regression:.1%}, network {network:.1%}",
        ),
        ("SemPPL, nearest in its memory", metrics["knn_accuracy"], ""),
        ("SemPPL, linear probe", metrics["linear_accuracy"], "frozen backbone"),
    ]
    lines = [_headline(metrics), ""]
    lines.append(f"  accuracy on {metrics['num_test']:,} test images")
    lines += [_row(*row) for row in rows]
    lines.append(f"  pseudo-labels of {metrics['num_unlabelled']:,} unlabelled images")
    lines.append(_row("SemPPL", metrics["pseudo_label_accuracy"], ""))
    lines += [
        "",
        f"Trained in {metrics['train_seconds']:.0f} s. The table, the model, curves "
        f"and pictures are in {folder}",
    ]
    return "\n".join(lines)


def run_folder(arguments):
    """The folder that the arguments name, or the default for them."""
    if arguments.out:
        return pathlib.Path(arguments.out)
    settings = _with_defaults(arguments)
    kind, _, rest = settings["dataset"].partition(":")
    if kind in ("npz", "folder"):
        rest = pathlib.Path(rest).resolve().stem
    name = rest or kind
    name = re.sub(r"[^\w.-]+", "_", name)
    return pathlib.Path("runs") / (
        f"{name}_{settings['labels_per_class']}_per_class_seed_{settings['seed']}"
    )


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted a run."""
    folder = run_folder(arguments)
    if not (folder / "run.json").exists():
        return "Nothing was written."
    return f"Go on with: semppl train --resume --out {folder}"


class _Checkpoint(keras.callbacks.Callback):
    """Keeps settings, model and history on disk, for `--resume`."""

    def __init__(self, folder, settings, progress):
        super().__init__()
        self._path = folder / "checkpoint.keras"
        self._settings = settings
        self._epochs = settings["epochs"]
        self._seconds_before = progress["train_seconds"]
        self._begun = self._written = None
        self.train_seconds = self._seconds_before
        self.history = progress["history"]

    def on_train_begin(self, logs=None):
        # Not before: data that does not fit leaves nothing behind.
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._path.with_name("run.json"), self._settings)
        self._begun = self._written = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        now = time.monotonic()
        self.train_seconds = self._seconds_before + now - self._begun
        last = epoch + 1 == self._epochs
        if last or now - self._written >= _SECONDS_BETWEEN_CHECKPOINTS:
            self._write(epoch + 1)
            self._written = time.monotonic()

    def _write(self, epochs_done):
        # Keras wants the name to end in .keras.
        temporary = self._path.with_name("checkpoint.partial.keras")
        self.model.save(temporary)
        progress = {
            "epochs_done": epochs_done,
            "train_seconds": self.train_seconds,
            "history": self.history,
        }
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(_PROGRESS_ENTRY, json.dumps(progress))
        os.replace(temporary, self._path)
        write_json(self._path.with_name("history.json"), self.history)


def _with_defaults(arguments):
    asked = {name: getattr(arguments, name) for name in _DEFAULTS}
    return {
        name: _DEFAULTS[name] if value is None else value
        for name, value in asked.items()
    }


def _new_settings(arguments):
    settings = _with_defaults(arguments)
    # --resume may be called from elsewhere.
    settings["dataset"] = resolved(settings["dataset"])
    if settings["epochs"] is None:
        settings["epochs"] = recipe_of(settings["dataset"]).epochs
    return {**settings, "backend": keras.backend.backend(), "versions": versions()}


def _settings_of(folder, arguments):
    path = folder / "run.json"
    if not path.exists():
        raise CommandError(
            f"--resume needs a folder with a run in it. Received: {str(folder)!r}, "
            "which has no run.json. Name the folder with --out, or leave --resume out."
        )
    settings = json.loads(path.read_text())
    for name in _DEFAULTS:
        asked, begun = getattr(arguments, name), settings[name]
        if name == "dataset":
            asked = resolved(asked)
        if asked is not None and asked != begun:
            option = f"--{name.replace('_', '-')}"
            raise CommandError(
                f"The run in {str(folder)!r} was begun with {option} {begun}. "
                f"Received: {option} {asked}. Leave it out, or begin another run with "
                "another --out."
            )
    if settings["backend"] != keras.backend.backend():
        raise CommandError(
            f"The run in {str(folder)!r} was begun on {settings['backend']}. Received: "
            f"{keras.backend.backend()}, which draws other random numbers. Set "
            f"KERAS_BACKEND={settings['backend']}."
        )
    return settings


def _check_free(folder):
    if folder.exists() and not folder.is_dir():
        raise CommandError(
            f"--out must be a folder. Received: {str(folder)!r}, which is a file."
        )
    if (folder / "run.json").exists():
        raise CommandError(
            f"There is a run in {str(folder)!r} already. Go on with it: semppl train "
            f"--resume --out {folder}. Or choose another folder with --out."
        )
    taken = [name for name in _FILES if (folder / name).exists()]
    if taken:
        raise CommandError(
            f"--out must be a folder that a run can be written to. Received: "
            f"{str(folder)!r}, where {', '.join(taken)} would be overwritten. Choose "
            "another folder."
        )


def _load(settings, recipe):
    labels_per_class = settings["labels_per_class"]
    data = load_data(settings["dataset"], labels_per_class, settings["seed"], recipe)
    if len(data.unlabelled_indices) == 0:
        raise CommandError(
            "There must be unlabelled images to learn from. Received: "
            f"--labels-per-class {labels_per_class}, which makes all "
            f"{len(data.x_train):,} training images labelled ones. Ask for fewer."
        )
    return data


def _model(folder, data, recipe, seed, steps_per_epoch):
    checkpoint = folder / "checkpoint.keras"
    if checkpoint.exists():
        model = keras.models.load_model(checkpoint)
        with zipfile.ZipFile(checkpoint) as archive:
            return model, json.loads(archive.read(_PROGRESS_ENTRY))
    model = recipe.make_model(
        data.x_train.shape[-1],
        data.num_classes,
        steps_per_epoch=steps_per_epoch,
        seed=seed,
    )
    return model, {"epochs_done": 0, "train_seconds": 0.0, "history": {}}


def _share(correct):
    return float(np.mean(correct))


def _headline(metrics):
    count = metrics["labels_per_class"]
    labels = "1 label" if count == 1 else f"{count} labels"
    name = metrics["dataset"].rpartition("/")[2]
    return f"{name}, {labels} per class, seed {metrics['seed']}, {metrics['backend']}"


def _row(what, accuracy, note):
    value = "not known" if accuracy is None else f"{accuracy:.1%}"
    return f"    {what:<34}{value:>9}" + (f"   ({note})" if note else "")
