"""`semppl evaluate`: what finished runs are worth, on their own data or on other."""

import dataclasses
import pathlib
import time

import keras
import numpy as np

from semppl_keras.cli import classifier_training
from semppl_keras.cli.finished_run import fit_probe
from semppl_keras.cli.run_folder import (
    CommandError,
    dataset_name,
    load_data,
    read_finished_run,
    recipe_of,
    resolved,
    user_errors,
    versions,
    write_json,
)
from semppl_keras.cli.safe_loading import check_folder, load_model
from semppl_keras.data import load_test
from semppl_keras.evaluation import (
    CORRUPTIONS,
    SEVERITIES,
    as_pixels,
    confidence_interval,
    corrupt,
    knn_probabilities,
    mean_corruption_error,
    summarize,
)

# What runs must agree in, for the mean over them to mean something.
_ALIKE = ("dataset", "labels_per_class", "epochs")

# Wu et al. (2018), who have more than a thousand labelled images of each class.
_MOST_NEIGHBOURS = 200
_KNN_TEMPERATURE = 0.07

_CALIBRATION_BINS = 15


def run(arguments):
    """Evaluates finished runs, as the parsed arguments say.

    Args:
        arguments: Namespace with `runs` (a list of folders), `data`,
            `labels_per_class`, `severities`, `corruptions`, `out`, `seed` (None where
            not given), `same_classes`, `fine_tune`, `from_layer` and `robustness`.

    Returns:
        A list of the dicts that the `evaluation.json` of each run holds.

    Raises:
        CommandError: What the user asked for cannot be done.
    """
    folders = [pathlib.Path(name) for name in arguments.runs]
    _check_options(arguments)
    runs = {folder: read_finished_run(folder) for folder in folders}
    _check_alike(runs)
    targets = _targets(folders, arguments.out)

    evaluations = []
    for folder, settings in runs.items():
        begun = time.monotonic()
        task, seed = _task(settings, arguments, folder)
        _say(
            f"{folder}: {task.name}, {len(task.x_labelled):,} labelled images of "
            f"{len(task.class_names)} classes, {len(task.x_test):,} to test on, "
            f"{keras.backend.backend()}."
        )
        check_folder(folder)
        model = load_model(folder / "model.keras")
        _check_images_fit(model, task, arguments.corruptions)
        measured = measure(
            model,
            task,
            seed=seed,
            fine_tune=arguments.fine_tune,
            from_layer=arguments.from_layer,
            corruptions=_corruptions(arguments),
            severities=arguments.severities or SEVERITIES,
        )
        evaluation = {
            "run": str(folder.resolve()),
            "run_settings": settings,
            "data": task.dataset,
            "kind": task.kind,
            "labels_per_class": task.labels_per_class,
            "seed": seed,
            "num_labelled": len(task.x_labelled),
            "num_test": len(task.x_test),
            "class_names": list(task.class_names),
            **measured,
            "seconds": round(time.monotonic() - begun, 2),
            "backend": keras.backend.backend(),
            "versions": versions(),
        }
        _write(targets[folder], evaluation)
        print(f"\n{format_table(evaluation)}\n\nWritten to {targets[folder]}\n")
        evaluations.append(evaluation)
    if len(evaluations) > 1:
        means = mean_over_runs(evaluations)
        print(format_means(means, evaluations))
        if arguments.out:
            write_json(
                pathlib.Path(arguments.out) / "evaluation.json",
                {"runs": evaluations, **means},
            )
    return evaluations


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """What a trained model is tested on, and the labels that may be used for it.

    Args:
        kind: "own" for the run's own data; "transfer" for another data set with
            labels of its own; "same_classes" for the test images of another, labelled
            with what the run knows.
        dataset: As `--dataset` takes it.
        name: What the data set is called.
        labels_per_class: How the labelled images were chosen: an integer, "all", or a
            share such as "10%".
        x_labelled: `(n, h, w, c)` in [0, 255].
        y_labelled: `(n,)` integers, every class among them.
        x_test: `(m, h, w, c)` in the same range.
        y_test: `(m,)` integers.
        class_names: One string per class.
        labels_of_run: Whether the labelled images are those that the run was trained
            with.
    """

    kind: str
    dataset: str
    name: str
    labels_per_class: int | str
    x_labelled: np.ndarray
    y_labelled: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    labels_of_run: bool


def measure(
    model,
    task,
    *,
    seed=0,
    fine_tune=False,
    from_layer=None,
    corruptions=(),
    severities=SEVERITIES,
):
    """Measures a trained model with several classifiers on one task.

    The classifiers, and whatever is chosen for them, see the labelled images alone.

    Args:
        model: A pre-training model of semppl_keras.
        task: `Task`.
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
    method, classes = type(model).__name__, len(task.class_names)
    shares, rows, classifiers = {}, {}, {}

    _say("Logistic regression on the labelled pixels ...")
    # Pixels share one scale already, as in `supervised_accuracy`.
    baseline = fit_probe(
        as_pixels(task.x_labelled),
        task.y_labelled,
        seed,
        standardize=False,
        single_label_c=1.0,
    )
    classifiers["supervised"] = lambda x: baseline.predict_proba(as_pixels(x))
    shares["supervised"] = classifiers["supervised"](task.x_test)
    rows["supervised"] = {"title": "supervised only, logistic regression"}

    _say("Features, nearest neighbours and linear probe ...")
    labelled, test = model.embed(task.x_labelled), model.embed(task.x_test)
    if task.labels_of_run and getattr(model, "predicts_classes", False):
        shares["memory_knn"] = model.predict(task.x_test, verbose=0)
        rows["memory_knn"] = {"title": f"{method}, nearest in its memory"}
    # More neighbours than a class has images could not all be right.
    k = min(_MOST_NEIGHBOURS, max(1, len(labelled) // classes))
    shares["weighted_knn"] = knn_probabilities(
        labelled,
        task.y_labelled,
        test,
        k,
        num_classes=classes,
        temperature=_KNN_TEMPERATURE,
    )
    rows["weighted_knn"] = {
        "title": f"{method}, weighted nearest neighbours",
        "k": k,
        "temperature": _KNN_TEMPERATURE,
    }
    probe = fit_probe(labelled, task.y_labelled, seed)
    classifiers["linear_probe"] = lambda x: probe.predict_proba(model.embed(x))
    shares["linear_probe"] = probe.predict_proba(test)
    rows["linear_probe"] = {"title": f"{method}, linear probe"}

    if fine_tune:
        tuner, chosen = classifier_training.fine_tune(
            model,
            task.x_labelled,
            task.y_labelled,
            classes,
            from_layer=from_layer,
            seed=seed,
        )
        classifiers["fine_tuned"] = lambda x: tuner.predict(x, verbose=0)
        shares["fine_tuned"] = classifiers["fine_tuned"](task.x_test)
        rows["fine_tuned"] = {"title": f"{method}, fine-tuned", **chosen}

    for name, row in rows.items():
        row.update(summarize(shares[name], task.y_test))
        row["calibration"] = calibration_curve(shares[name], task.y_test)
    robustness = None
    if corruptions:
        robustness = _robustness(classifiers, task, corruptions, severities, seed)
    return {"rows": rows, "robustness": robustness}


def calibration_curve(probabilities, labels, num_bins=_CALIBRATION_BINS):
    """Confidence and accuracy in bins of equal width: what a reliability plot shows.

    Args:
        probabilities: `(N, C)`, rows that sum to 1.
        labels: `(N,)` integers in [0, C).
        num_bins: At least 1. The bins are those of `expected_calibration_error`.

    Returns:
        A dict of lists of `num_bins` numbers: `count`, and `confidence` and `accuracy`,
        the means of the rows in the bin, None for an empty one.

    Example:
        >>> calibration_curve(np.array([[0.9, 0.1], [0.9, 0.1]]), [0, 1], num_bins=2)
        {'count': [0, 2], 'confidence': [None, 0.9], 'accuracy': [None, 0.5]}
    """
    probabilities = np.asarray(probabilities, "float64")
    edges = np.linspace(0, 1, num_bins + 1)[1:-1]
    confidence = probabilities.max(axis=1)
    bins = np.digitize(confidence, edges, right=True)
    count = np.bincount(bins, minlength=num_bins)

    def means(values):
        sums = np.bincount(bins, values, minlength=num_bins)
        return [
            float(total / number) if number else None
            for total, number in zip(sums, count, strict=True)
        ]

    return {
        "count": count.tolist(),
        "confidence": means(confidence),
        "accuracy": means(probabilities.argmax(axis=1) == np.asarray(labels)),
    }


def mean_over_runs(evaluations):
    """Mean and 95% interval of each number over runs with different seeds.

    Args:
        evaluations: At least two dicts as `evaluation.json` holds them, of the same
            data and options.

    Returns:
        A dict: `rows`, by classifier its `title` and, for `top1`, `top5` and `ece`,
        a dict of `mean` and `interval` (half the width), or None; and the same for
        `mean_corruption_error`, by classifier.
    """
    means = {"rows": {}, "mean_corruption_error": {}}
    for name, row in evaluations[0]["rows"].items():
        others = [evaluation["rows"][name] for evaluation in evaluations]
        means["rows"][name] = {
            "title": row["title"],
            **{
                number: _mean([other[number] for other in others])
                for number in ("top1", "top5", "ece")
            },
        }
    for name in (evaluations[0]["robustness"] or {}).get("errors", {}):
        means["mean_corruption_error"][name] = _mean(
            [
                evaluation["robustness"]["mean_corruption_error"][name]
                for evaluation in evaluations
            ]
        )
    return means


def format_table(evaluation):
    """Lays out what `evaluation.json` holds.

    Args:
        evaluation: One of the dicts that `run` returns.

    Returns:
        Several lines of text.
    """
    settings = evaluation["run_settings"]
    lines = [
        f"{_headline(evaluation)}, run of seed {settings['seed']}",
        "",
        _row(f"{evaluation['num_test']:,} test images", "top-1", "top-5", "ECE"),
    ]
    for row in evaluation["rows"].values():
        lines.append(
            _row(
                "  " + row["title"],
                f"{row['top1']:.1%}",
                "-" if row["top5"] is None else f"{row['top5']:.1%}",
                f"{row['ece']:.3f}",
            )
        )
    if evaluation["robustness"]:
        lines += ["", *_robustness_lines(evaluation)]
    return "\n".join(lines)


def format_means(means, evaluations):
    """Lays out what `mean_over_runs` returns.

    Args:
        means: That dict.
        evaluations: The dicts that it was made of.

    Returns:
        Several lines of text.
    """
    seeds = ", ".join(str(one["run_settings"]["seed"]) for one in evaluations)
    lines = [
        f"{_headline(evaluations[0])}: mean of {len(evaluations)} runs, seeds {seeds}, "
        "and its 95% interval",
        "",
        _row("", "top-1", "top-5", "ECE", width=15),
    ]
    for row in means["rows"].values():
        lines.append(
            _row(
                "  " + row["title"],
                _plus_minus(row["top1"], 100, 1),
                _plus_minus(row["top5"], 100, 1),
                _plus_minus(row["ece"], 1, 3),
                width=15,
            )
        )
    for name, value in means["mean_corruption_error"].items():
        if name != "supervised":
            title = f"  {means['rows'][name]['title']}, mCE"
            lines.append(_row(title, _plus_minus(value, 1, 1), "", "", width=15))
    return "\n".join(lines)


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted an evaluation."""
    if len(arguments.runs) == 1:
        return "Nothing was written."
    return "The runs with a table above are written, the others are not."


# -- what is asked for ------------------------------------------------------------


def _check_options(arguments):
    if not arguments.robustness and (arguments.severities or arguments.corruptions):
        option = "--severities" if arguments.severities else "--corruptions"
        raise CommandError(
            f"{option} is for --robustness. Received: {option} without it. Add "
            "--robustness."
        )
    unknown = sorted(set(arguments.corruptions or ()) - set(CORRUPTIONS))
    if unknown:
        raise CommandError(
            f"--corruptions must be out of {', '.join(CORRUPTIONS)}. Received: "
            f"{', '.join(unknown)}."
        )
    if arguments.from_layer is not None and not arguments.fine_tune:
        raise CommandError(
            "--from-layer is for --fine-tune. Received: --from-layer "
            f"{arguments.from_layer} without it. Add --fine-tune."
        )
    if arguments.same_classes and arguments.data is None:
        raise CommandError(
            "--same-classes is for another data set. Received: --same-classes without "
            "--data. Name the data set with --data."
        )
    if arguments.same_classes and arguments.labels_per_class is not None:
        raise CommandError(
            "--same-classes tests with the labels of the run. Received: "
            f"--labels-per-class {arguments.labels_per_class} with it. Leave one of "
            "the two out."
        )


def _check_alike(runs):
    (first, settings), *others = runs.items()
    for folder, other in others:
        for name in _ALIKE:
            if other[name] != settings[name]:
                raise CommandError(
                    "Several runs must differ in the seed alone. Received: "
                    f"{name} {settings[name]} in {str(first)!r} and {other[name]} in "
                    f"{str(folder)!r}. Evaluate them one by one."
                )
    seeds = [settings["seed"] for settings in runs.values()]
    if len(set(seeds)) < len(seeds):
        raise CommandError(
            "Several runs must have different seeds. Received: the seeds "
            f"{', '.join(map(str, seeds))}."
        )


def _targets(folders, out):
    """Where the files of each run go."""
    if len(set(folders)) < len(folders):
        raise CommandError(
            f"Every RUN must be named once. Received: {', '.join(map(str, folders))}."
        )
    if not out:
        return {folder: folder for folder in folders}
    out = pathlib.Path(out)
    if out.exists() and not out.is_dir():
        raise CommandError(
            f"--out must be a folder. Received: {str(out)!r}, which is a file."
        )
    if len(folders) == 1:
        return {folders[0]: out}
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        raise CommandError(
            "With --out the folders of several runs must differ in their names. "
            f"Received: {', '.join(names)}."
        )
    return {folder: out / name for folder, name in zip(folders, names, strict=True)}


def _corruptions(arguments):
    if not arguments.robustness:
        return ()
    return tuple(arguments.corruptions or CORRUPTIONS)


def _task(settings, arguments, folder):
    """The `Task` that the arguments name for a run, and the seed to work with."""
    asked = resolved(arguments.data)
    other = asked if asked != settings["dataset"] else None
    if arguments.same_classes and other is None:
        raise CommandError(
            "--same-classes is for another data set than the run's. Received: --data "
            f"{arguments.data}, which the run was trained on."
        )
    seed = settings["seed"] if arguments.seed is None else arguments.seed
    recipe = recipe_of(settings)
    if arguments.labels_per_class is None:
        labels_per_class = settings["labels_per_class"]
    else:
        labels_per_class = arguments.labels_per_class

    if other is None or arguments.same_classes:
        # The split that the run was trained on: the same seed.
        data = load_data(
            settings["dataset"],
            labels_per_class,
            settings["seed"],
            recipe,
            folder=folder,
        )
    else:
        data = load_data(other, labels_per_class, seed, recipe)
    kind = "own" if other is None else "transfer"
    name, x_test, y_test = data.name, data.x_test, data.y_test
    if arguments.same_classes:
        kind = "same_classes"
        with user_errors():
            tested = load_test(other, seed, image_size=recipe.image_size)
        name, x_test, y_test = tested.name, tested.images, _named_alike(tested, data)
    if y_test is None:
        raise CommandError(
            "There must be labelled test images to evaluate with. Received: "
            f"{name}, which has none. Name a data set that has some with --data."
        )
    task = Task(
        kind=kind,
        dataset=other or settings["dataset"],
        name=name,
        labels_per_class=labels_per_class,
        x_labelled=data.x_labelled,
        y_labelled=data.y_labelled,
        # What learned from images of one size is tested on images of this size.
        x_test=_resized(x_test, data.x_train.shape[1:3]),
        y_test=y_test,
        class_names=data.class_names,
        # The memory votes with the labels that the run was trained with.
        labels_of_run=kind != "transfer"
        and labels_per_class == settings["labels_per_class"],
    )
    return task, seed


def _named_alike(tested, data):
    """The labels of other test images, as the run numbers its classes.

    By name, or by number where one of the two has nothing else.
    """
    names, labels = tested.class_names, tested.labels
    if names is not None and set(names) <= set(data.class_names):
        numbers = np.array([data.class_names.index(name) for name in names])
        return numbers[labels]
    both_named = not (_are_numbers(names) or _are_numbers(data.class_names))
    if both_named:
        unknown = sorted(set(names) - set(data.class_names))
        raise CommandError(
            "--same-classes needs a data set with the classes of the run. "
            f"Received: {tested.name} with {', '.join(unknown[:5])}, which are none of "
            f"{', '.join(data.class_names[:5])}, ... Rename them, or leave "
            "--same-classes out to test the features with labels of the data set's own."
        )
    if labels.max() >= data.num_classes or len(names or ()) > data.num_classes:
        count = len(names) if names else int(labels.max()) + 1
        raise CommandError(
            "--same-classes needs a data set with the classes of the run. "
            f"Received: {tested.name} with {count} classes, where {data.name} has "
            f"{data.num_classes}. Leave --same-classes out to test the features with "
            "labels of the data set's own."
        )
    return labels


def _are_numbers(names):
    return names is None or tuple(names) == tuple(map(str, range(len(names))))


def _resized(images, shape):
    if images.shape[1:3] == shape:
        return images
    chunks = [
        keras.ops.image.resize(
            images[start : start + 1024].astype("float32"),
            shape,
            antialias=True,
            # The central part, where the proportions are others.
            crop_to_aspect_ratio=True,
            data_format="channels_last",
        )
        for start in range(0, len(images), 1024)
    ]
    resized = np.concatenate([keras.ops.convert_to_numpy(chunk) for chunk in chunks])
    # Rounding may lead out of the range by a last digit.
    return resized.clip(0, 255)


def _check_images_fit(model, task, corruptions):
    """Fails before anything takes long."""
    height, width, received = task.x_test.shape[1:]
    channels, least = model.backbone.input_shape[-1], model.views.min_image_size
    if received != channels:
        raise CommandError(
            f"The run's network takes images with {channels} channel(s). Received: "
            f"{task.name}, whose images have {received}. Convert them."
        )
    if min(height, width) < least:
        raise CommandError(
            f"The run's network takes images of at least {least} pixels a side. "
            f"Received: {task.name}, whose images have {height} x {width}. Enlarge "
            "them."
        )
    if corruptions:
        with user_errors():
            corrupt(task.x_test[:1], corruptions[0], SEVERITIES[0])


# -- measuring --------------------------------------------------------------------


def _robustness(classifiers, task, corruptions, severities, seed):
    errors = {name: {} for name in classifiers}
    for index, corruption in enumerate(corruptions, start=1):
        _say(f"Corrupted test images, {index} of {len(corruptions)}: {corruption} ...")
        for of_classifier in errors.values():
            of_classifier[corruption] = []
        for severity in severities:
            # Once for all classifiers: it can take longer than they do.
            images = corrupt(task.x_test, corruption, severity, seed)
            for name, classify in classifiers.items():
                wrong = np.argmax(classify(images), axis=1) != task.y_test
                errors[name][corruption].append(float(np.mean(wrong)))
    baseline = errors["supervised"]
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


def _mean(values):
    if None in values:
        return None
    mean, interval = confidence_interval(values)
    return {"mean": mean, "interval": interval}


# -- what is told -----------------------------------------------------------------


def _write(folder, evaluation):
    from semppl_keras.cli.evaluation_plots import write_plots

    folder.mkdir(parents=True, exist_ok=True)
    # One of an earlier evaluation would contradict the other files.
    (folder / "robustness.png").unlink(missing_ok=True)
    write_plots(folder, evaluation)
    write_json(folder / "evaluation.json", evaluation)


def _say(text):
    print(text, flush=True)


def _headline(evaluation):
    name = dataset_name(evaluation["data"])
    count = evaluation["labels_per_class"]
    labels = "1 label" if count == 1 else f"{count} labels"
    trained_on = dataset_name(evaluation["run_settings"]["dataset"])
    return {
        "own": f"{name}, {labels} per class",
        "transfer": f"{name}, {labels} per class, features learned on {trained_on}",
        "same_classes": f"{name}, with {labels} per class of {trained_on}",
    }[evaluation["kind"]]


def _row(title, *values, width=9):
    return f"  {title:<42}" + "".join(f"{value:>{width}}" for value in values).rstrip()


def _plus_minus(value, factor, digits):
    if value is None:
        return "-"
    mean, interval = factor * value["mean"], factor * value["interval"]
    return f"{mean:.{digits}f} ± {interval:.{digits}f}"


def _robustness_lines(evaluation):
    robustness, rows = evaluation["robustness"], evaluation["rows"]
    errors = robustness["errors"]
    names = {
        "supervised": "regression",
        "linear_probe": "probe",
        "fine_tuned": "fine-tuned",
    }
    severities = ", ".join(map(str, robustness["severities"]))
    table = [
        (f"mean error, severity {severities}", *(names[name] for name in errors)),
        ("  not corrupted", *(f"{1 - rows[name]['top1']:.1%}" for name in errors)),
    ]
    for corruption in next(iter(errors.values())):
        means = (np.mean(errors[name][corruption]) for name in errors)
        table.append(("  " + corruption, *(f"{mean:.1%}" for mean in means)))
    scores = (robustness["mean_corruption_error"][name] for name in errors)
    table.append(
        (
            "mean corruption error, regression = 100",
            *("-" if score is None else f"{score:.1f}" for score in scores),
        )
    )
    return [_row(*cells, width=12) for cells in table]
