"""`semppl train`: one run, from a data set's name to a table and a folder."""

import csv
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

from semppl_keras import recipes
from semppl_keras.callbacks import ScalarLogs
from semppl_keras.cli.run_folder import (
    CommandError,
    dataset_name,
    load_data,
    own_dataset,
    recipe_of,
    resolved,
    user_errors,
    versions,
    write_json,
)
from semppl_keras.cli.safe_loading import check_folder, load_model
from semppl_keras.data.image_lists import resolved_source
from semppl_keras.data.own_images import own_name, survey_own_images
from semppl_keras.evaluation import (
    as_pixels,
    cross_validated_predictions,
    linear_probe,
    supervised_accuracy,
)

_DEFAULTS = {"dataset": "digits", "labels_per_class": 10, "epochs": None, "seed": 0}

# Options for a person's own images, with what stands for one that is not given; the
# two without it have to be.
_OWN_DEFAULTS = {
    "unlabelled": None,
    "labelled": None,
    "test": None,
    "image_size": None,
    "backbone": None,
    "max_skipped": 0.05,
    "cache": "auto",
}

# What makes a folder a run folder, and what a new run would overwrite.
_FILES = (
    "run.json",
    "checkpoint.keras",
    "history.json",
    "model.keras",
    "metrics.json",
    "report.png",
    "skipped.tsv",
    "logs",
)
# An entry of our own in the checkpoint's archive, which Keras does not look at: the
# weights and what belongs to them become visible together or not at all.
_PROGRESS_ENTRY = "semppl_progress.json"
_SECONDS_BETWEEN_CHECKPOINTS = 10

# Unlabelled images that are asked for their pseudo-labels after training, where only
# the model can tell what they show.
_MOST_PSEUDO_LABELS = 2000


def run(arguments):
    """Trains, measures and writes a run folder, as the parsed arguments say.

    Args:
        arguments: Namespace with `dataset`, `labels_per_class`, `epochs`, `seed`,
            `out`, `unlabelled`, `labelled`, `test`, `image_size`, `backbone`,
            `max_skipped`, `cache` (None where not given) and `resume`.

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
    data = _load(settings, recipe, folder)
    settings = _with_data(settings, data, folder)
    x_unlabelled = data.x_unlabelled
    known = np.any(data.y_hidden >= 0)
    batch_size = min(recipe.batch_size, len(x_unlabelled))
    keras.utils.set_random_seed(seed)
    # A second copy of an image would be among its negatives.
    labelled_batch_size = min(recipe.labelled_batch_size, len(data.x_labelled))
    steps_per_epoch = math.ceil(len(x_unlabelled) / batch_size)
    with user_errors():
        model, progress = _model(folder, data, recipe, seed, steps_per_epoch)
    _check_enough_steps(
        model.neighbours, settings["epochs"], steps_per_epoch, labelled_batch_size
    )
    print(
        f"{data.name}: {len(x_unlabelled):,} unlabelled and "
        f"{len(data.x_labelled):,} labelled images of {data.num_classes} classes, "
        f"{_num_test(data):,} to test on. Recipe {recipe.name}, {settings['epochs']} "
        f"epochs, {keras.backend.backend()}.",
        flush=True,
    )
    for remark in getattr(data, "remarks", ()):
        print(f"Note: {remark}", flush=True)
    if progress["epochs_done"]:
        print(f"Going on after epoch {progress['epochs_done']}.", flush=True)
    skipped = getattr(data, "skipped", ())
    checkpoint = _Checkpoint(folder, settings, progress, skipped)
    if progress["epochs_done"] < settings["epochs"]:
        with user_errors():
            model.fit(
                (x_unlabelled, data.y_hidden) if known else x_unlabelled,
                (data.x_labelled, data.y_labelled),
                epochs=settings["epochs"],
                initial_epoch=progress["epochs_done"],
                batch_size=batch_size,
                labelled_batch_size=labelled_batch_size,
                # The logs first: an epoch that counts as done is in them.
                callbacks=[ScalarLogs(folder / "logs"), checkpoint],
                # A bar that moves is for a terminal; a file gets a line per epoch.
                verbose=1 if sys.stdout.isatty() else 2,
            )
    model.save(folder / "model.keras")

    print("Measuring, and training the supervised-only baseline ...", flush=True)
    measured, features, predictions = measure(model, data, recipe, seed=seed)
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
        "num_test": _num_test(data),
        "num_skipped": len(skipped),
        "versions": versions(),
        "recipe": recipe.to_dict(),
    }
    write_json(folder / "history.json", checkpoint.history)

    from semppl_keras.cli.report import write_report

    write_report(
        folder / "report.png",
        history=checkpoint.history,
        embeddings=features,
        labels=data.y_labelled if data.x_test is None else data.y_test,
        predictions=predictions,
        class_names=data.class_names,
        images="labelled" if data.x_test is None else "test",
        title=_headline(metrics),
        seed=seed,
    )
    # Last: it marks the run as finished.
    write_json(folder / "metrics.json", metrics)
    print("\n" + format_table(metrics, folder))
    return metrics


def _check_enough_steps(neighbours, epochs, steps_per_epoch, labelled_batch_size):
    """Training must leave in the memory what its votes need."""
    per_epoch = steps_per_epoch * labelled_batch_size
    if epochs * per_epoch < neighbours:
        raise CommandError(
            f"The {neighbours} nearest labelled images vote, and {epochs} epoch(s) of "
            f"{steps_per_epoch} step(s) with {labelled_batch_size} labelled image(s) "
            f"would leave {epochs * per_epoch} in the memory. Train longer: --epochs "
            f"{math.ceil(neighbours / per_epoch)} or more."
        )


def measure(model, data, recipe, *, seed=0):
    """Measures a trained model and the supervised-only baseline on one data set.

    Without test images: by cross-validation on the labelled ones, of the classes with
    at least two. That flatters the model, whose network has trained with all of these
    labels, but not the baseline.

    Args:
        model: A trained `SemPPL`.
        data: `FewLabels` with test labels, or without test images.
        recipe: The `Recipe` it was trained by: the baseline gets its backbone.
        seed: Of the baseline and of the probe's cross-validation.

    Returns:
        metrics: Dict of `supervised_accuracy` (and the two that it is the better of),
            `knn_accuracy`, `linear_accuracy`, all on the test images and None without
            any; `cross_validated`, None or a dict of `supervised_accuracy` (logistic
            regression alone), `linear_accuracy` and `num_labelled`; and
            `pseudo_label_accuracy` on the unlabelled images, None where no hidden label
            is known, or `pseudo_labels` in its place, None or a dict of what some of
            them are taken for.
        features: `(M, F)` backbone features of the test images, or else of the labelled
            ones.
        predictions: `(M,)` the linear probe's classes for them, or None where nothing
            could be held out.

    Example:
        >>> metrics, features, predictions = measure(model, data, recipe)
        >>> metrics["linear_accuracy"]
    """
    labelled_features = model.embed(data.x_labelled)
    known = data.y_hidden >= 0
    pseudo_label_accuracy = pseudo_labels = None
    if known.any():
        predicted, _ = model.pseudo_label(data.x_unlabelled[known])
        pseudo_label_accuracy = _share(predicted == data.y_hidden[known])
    else:
        pseudo_labels = _pseudo_labels(model, data, seed)
    metrics = {
        "supervised_accuracy": None,
        "supervised_logistic_regression_accuracy": None,
        "supervised_network_accuracy": None,
        "knn_accuracy": None,
        "linear_accuracy": None,
        "pseudo_label_accuracy": pseudo_label_accuracy,
        "pseudo_labels": pseudo_labels,
        "cross_validated": None,
    }
    if data.x_test is None:
        cross_validated, predictions = _cross_validated(labelled_features, data, seed)
        return (
            {**metrics, "cross_validated": cross_validated},
            labelled_features,
            predictions,
        )

    shares = model.predict(data.x_test, verbose=0)
    test_features = model.embed(data.x_test)
    probe = linear_probe(labelled_features, data.y_labelled, seed=seed)
    predictions = probe.predict(test_features)

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
        **metrics,
        "supervised_accuracy": supervised.best,
        "supervised_logistic_regression_accuracy": supervised.logistic_regression,
        "supervised_network_accuracy": supervised.network,
        "knn_accuracy": _share(np.argmax(shares, axis=-1) == data.y_test),
        "linear_accuracy": _share(predictions == data.y_test),
    }
    return metrics, test_features, predictions


def _cross_validated(features, data, seed):
    """What can be measured on the labels alone, and predictions or None."""
    labels = data.y_labelled
    counts = np.bincount(labels, minlength=data.num_classes)
    chosen = counts[labels] >= 2
    if np.sum(counts >= 2) < 2:
        return None, None
    if not chosen.all():
        # Their rows could not be held out, and the others are not to pay for it.
        features, labels = features[chosen], labels[chosen]
    predictions = np.full(len(chosen), -1)
    predictions[chosen] = cross_validated_predictions(features, labels, seed=seed)
    # As in `supervised_accuracy`.
    baseline = cross_validated_predictions(
        as_pixels(data.x_labelled[chosen]),
        labels,
        seed=seed,
        standardize=False,
        single_label_c=1.0,
    )
    measured = {
        "supervised_accuracy": _share(baseline == labels),
        "linear_accuracy": _share(predictions[chosen] == labels),
        "num_labelled": int(chosen.sum()),
    }
    return measured, predictions if chosen.all() else None


def _pseudo_labels(model, data, seed):
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


def format_table(metrics, folder):
    """Lays out what `metrics.json` holds as the table that a run ends with.

    Args:
        metrics: The dict that `run` returns.
        folder: Where the run is.

    Returns:
        Several lines of text.
    """
    lines = [_headline(metrics), ""]
    if metrics["num_test"]:
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
        lines.append(f"  accuracy on {metrics['num_test']:,} test images")
        lines += [_row(*row) for row in rows]
    else:
        lines += _cross_validation_lines(metrics["cross_validated"])
    lines.append(f"  pseudo-labels of {metrics['num_unlabelled']:,} unlabelled images")
    lines.append(_row("SemPPL", metrics["pseudo_label_accuracy"], ""))
    lines += _pseudo_label_lines(metrics.get("pseudo_labels"))
    if metrics.get("num_skipped"):
        lines += [
            "",
            f"Images that could not be read: {metrics['num_skipped']:,}, named in "
            f"{pathlib.Path(folder) / 'skipped.tsv'}",
        ]
    lines += [
        "",
        f"Trained in {metrics['train_seconds']:.0f} s. The table, the model, curves "
        f"and pictures are in {folder}",
    ]
    return "\n".join(lines)


def _cross_validation_lines(measured):
    if measured is None:
        return [
            "  accuracy not measured: there are no test images, and too few labels to "
            "hold any out"
        ]
    return [
        f"  cross-validation on {measured['num_labelled']:,} labelled images, without "
        "test images",
        _row(
            "supervised only, the same labels",
            measured["supervised_accuracy"],
            "logistic regression",
        ),
        _row(
            "SemPPL, linear probe",
            measured["linear_accuracy"],
            "optimistic: the backbone knows these labels",
        ),
    ]


def _pseudo_label_lines(pseudo_labels):
    if pseudo_labels is None:
        return []
    shares = pseudo_labels["share_by_class"]
    lines = [
        f"    of {pseudo_labels['num_images']:,} of them: mean confidence "
        f"{pseudo_labels['mean_confidence']:.1%}"
    ]
    never = [name for name, share in shares.items() if share == 0]
    if never:
        more = f" and {len(never) - 3} more" if len(never) > 3 else ""
        names = ", ".join(map(repr, never[:3]))
        lines.append(
            f"    none of them is taken for {names}{more}: there may be no such image"
        )
    return lines


def run_folder(arguments):
    """The folder that the arguments name, or the default for them."""
    if arguments.out:
        return pathlib.Path(arguments.out)
    if arguments.unlabelled is not None:
        name = re.sub(r"[^\w.-]+", "_", own_name(arguments.unlabelled))
        count = arguments.labels_per_class
        labels = f"{count}_per_class" if count not in (None, "all") else "own_labels"
        return pathlib.Path("runs") / f"{name}_{labels}_seed_{arguments.seed or 0}"
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

    def __init__(self, folder, settings, progress, skipped=()):
        super().__init__()
        self._skipped = skipped
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
        if self._skipped:
            _write_skipped(self._path.with_name("skipped.tsv"), self._skipped)
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
    if _is_own(arguments):
        settings = {**settings, **_own_settings(arguments)}
    else:
        # --resume may be called from elsewhere.
        settings["dataset"] = resolved(settings["dataset"])
    if settings["epochs"] is None:
        settings["epochs"] = recipe_of(settings["dataset"]).epochs
    return {**settings, "backend": keras.backend.backend(), "versions": versions()}


def _is_own(arguments):
    """Whether a person's own images are asked for; not in half."""
    given = [name for name in _OWN_DEFAULTS if getattr(arguments, name) is not None]
    if not given:
        return False
    if arguments.dataset is not None:
        raise CommandError(
            f"--{given[0].replace('_', '-')} is for your own images. Received: it and "
            f"--dataset {arguments.dataset}. Leave one of the two out."
        )
    missing = [
        f"--{name}"
        for name in ("unlabelled", "labelled")
        if getattr(arguments, name) is None
    ]
    if missing:
        raise CommandError(
            "Your own images are --unlabelled, to learn from, and --labelled, a few. "
            f"Received: --{given[0].replace('_', '-')} without {' and '.join(missing)}."
        )
    return True


def _own_settings(arguments):
    options = {
        name: default if getattr(arguments, name) is None else getattr(arguments, name)
        for name, default in _OWN_DEFAULTS.items()
    }
    with user_errors():
        usual_size, num_unlabelled = survey_own_images(
            arguments.unlabelled, arguments.labelled
        )
    if options["image_size"] is None:
        options["image_size"] = usual_size
    epochs = arguments.epochs
    return {
        "dataset": own_dataset(**options),
        "labels_per_class": arguments.labels_per_class or "all",
        "epochs": recipes.usual_epochs(num_unlabelled) if epochs is None else epochs,
    }


def _with_data(settings, data, folder):
    """The settings with what tells whether the data are still the same.

    Raises a `CommandError` where a run that goes on would take classes for others.
    """
    names, digest = list(data.class_names), getattr(data, "digest", None)
    begun = settings.get("class_names", names)
    if begun != names:
        raise CommandError(
            f"The run in {str(folder)!r} was begun with the classes "
            f"{', '.join(begun)}. Received: {', '.join(names)}. Bring the labels back, "
            "or begin another run with another --out."
        )
    if digest != settings.get("images_digest", digest):
        print(
            "Note: the images are not those that the run was begun with; it goes on, "
            "but not as if it had not been interrupted.",
            flush=True,
        )
    return {"class_names": names, "images_digest": digest, **settings}


def _write_skipped(path, skipped):
    # Names need not be text in any encoding.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["path", "reason"])
        writer.writerows(skipped)


def _settings_of(folder, arguments):
    path = folder / "run.json"
    if not path.exists():
        raise CommandError(
            f"--resume needs a folder with a run in it. Received: {str(folder)!r}, "
            "which has no run.json. Name the folder with --out, or leave --resume out."
        )
    settings = json.loads(path.read_text())
    begun_with = {name: settings[name] for name in _DEFAULTS}
    if isinstance(settings["dataset"], dict):
        begun_with = {**begun_with, **settings["dataset"], "dataset": None}
    for name in (*_DEFAULTS, *_OWN_DEFAULTS):
        asked, begun = getattr(arguments, name), begun_with.get(name)
        if asked is None:
            continue
        if name == "dataset":
            asked = resolved(asked)
        elif name in ("unlabelled", "labelled", "test"):
            asked = resolved_source(asked)
        if asked != begun:
            option = f"--{name.replace('_', '-')}"
            with_it = f"without {option}" if begun is None else f"with {option} {begun}"
            raise CommandError(
                f"The run in {str(folder)!r} was begun {with_it}. "
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


def _load(settings, recipe, folder):
    labels_per_class = settings["labels_per_class"]
    data = load_data(
        settings["dataset"], labels_per_class, settings["seed"], recipe, folder=folder
    )
    if len(data.unlabelled_indices) == 0:
        raise CommandError(
            "There must be unlabelled images to learn from. Received: "
            f"--labels-per-class {labels_per_class}, which makes all "
            f"{len(data.x_train):,} training images labelled ones. Ask for fewer."
        )
    return data


def _num_test(data):
    return 0 if data.x_test is None else len(data.x_test)


def _model(folder, data, recipe, seed, steps_per_epoch):
    checkpoint = folder / "checkpoint.keras"
    if checkpoint.exists():
        check_folder(folder)
        model = load_model(checkpoint)
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
    if count == "all" and isinstance(metrics["dataset"], dict):
        labels = f"{metrics['num_labelled']:,} labels"
    else:
        labels = f"{count} label{'' if count == 1 else 's'} per class"
    name = dataset_name(metrics["dataset"])
    return f"{name}, {labels}, seed {metrics['seed']}, {metrics['backend']}"


def _row(what, accuracy, note):
    value = "not known" if accuracy is None else f"{accuracy:.1%}"
    return f"    {what:<34}{value:>9}" + (f"   ({note})" if note else "")
