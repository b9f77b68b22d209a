"""`semppl evaluate`: what finished runs are worth, on their own data or on other."""

import pathlib
import time

import keras

from semppl_keras.evaluation import CORRUPTIONS, SEVERITIES
from semppl_keras.reports.tables import (
    format_means,
    format_table,
    mean_over_runs,
)
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.evaluation_measures import measure
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.folder import read_finished_run, versions, write_json
from semppl_keras.runs.out_paths import check_can_write
from semppl_keras.runs.table_settings import check_tables_named, given_tables
from semppl_keras.runs.tasks import check_images_fit, task_of_run

# What runs must agree in, for the mean over them to mean something.
_ALIKE = ("dataset", "labels_per_class", "epochs")


def run(arguments):
    """Evaluates finished runs, as the parsed arguments say.

    Args:
        arguments: Namespace with `runs` (a list of folders), `data`, `test`,
            `labels_per_class`, `severities`, `corruptions`, `out`, `seed`, `from_layer`
            (None where not given), `same_classes`, `fine_tune`, `robustness`, `trust`.

    Returns:
        A list of the dicts that the `evaluation.json` of each run holds.

    Raises:
        RunError: What the user asked for cannot be done.
    """
    check_can_write(arguments.out, folder=True)
    folders = [pathlib.Path(name) for name in arguments.runs]
    _check_options(arguments)
    runs = {folder: read_finished_run(folder) for folder in folders}
    _check_alike(runs)
    targets = _targets(folders, arguments.out)

    evaluations = []
    for folder, settings in runs.items():
        begun = time.monotonic()
        finished = FinishedRun(folder, trust=arguments.trust)
        task, seed = task_of_run(settings, arguments, folder)
        print(
            f"{folder}: {task.name}, {len(task.x_labelled):,} labelled images of "
            f"{len(task.class_names)} classes, {len(task.x_test):,} to test on, "
            f"{keras.backend.backend()}.",
            flush=True,
        )
        model = finished.model
        check_images_fit(model, task, arguments.corruptions)
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
            "num_left_out": task.num_left_out,
            "skipped": [list(one) for one in task.skipped],
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


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted an evaluation."""
    if len(arguments.runs) == 1:
        return "Nothing was written."
    return "The runs with a table above are written, the others are not."


def _check_options(arguments):
    if not arguments.robustness and (arguments.severities or arguments.corruptions):
        option = "--severities" if arguments.severities else "--corruptions"
        raise RunError(
            f"{option} is for --robustness. Received: {option} without it. Add "
            "--robustness."
        )
    unknown = sorted(set(arguments.corruptions or ()) - set(CORRUPTIONS))
    if unknown:
        raise RunError(
            f"--corruptions must be out of {', '.join(CORRUPTIONS)}. Received: "
            f"{', '.join(unknown)}."
        )
    if arguments.from_layer is not None and not arguments.fine_tune:
        raise RunError(
            "--from-layer is for --fine-tune. Received: --from-layer "
            f"{arguments.from_layer} without it. Add --fine-tune."
        )
    for name in given_tables(arguments):
        option = f"--{name.replace('_', '-')}"
        if arguments.test is None:
            raise RunError(
                f"{option} is for --test. Received: {option} without it. Add --test."
            )
    if arguments.test is not None:
        check_tables_named(arguments, [arguments.test])
        # Each says what else to test on, or with which other labels.
        for option, given in (
            ("--data", arguments.data is not None),
            ("--same-classes", arguments.same_classes),
            ("--labels-per-class", arguments.labels_per_class is not None),
        ):
            if given:
                raise RunError(
                    "--test tests what the run has learned from its own labels on your "
                    f"own images. Received: {option} with it. Leave one of the two out."
                )
    if arguments.same_classes and arguments.data is None:
        raise RunError(
            "--same-classes is for another data set. Received: --same-classes without "
            "--data. Name the data set with --data."
        )
    if arguments.same_classes and arguments.labels_per_class is not None:
        raise RunError(
            "--same-classes tests with the labels of the run. Received: "
            f"--labels-per-class {arguments.labels_per_class} with it. Leave one of "
            "the two out."
        )


def _check_alike(runs):
    (first, settings), *others = runs.items()
    for folder, other in others:
        for name in _ALIKE:
            if other[name] != settings[name]:
                raise RunError(
                    "Several runs must differ in the seed alone. Received: "
                    f"{name} {settings[name]} in {str(first)!r} and {other[name]} in "
                    f"{str(folder)!r}. Evaluate them one by one."
                )
    seeds = [settings["seed"] for settings in runs.values()]
    if len(set(seeds)) < len(seeds):
        raise RunError(
            "Several runs must have different seeds. Received: the seeds "
            f"{', '.join(map(str, seeds))}."
        )


def _targets(folders, out):
    """Where the files of each run go."""
    if len(set(folders)) < len(folders):
        raise RunError(
            f"Every RUN must be named once. Received: {', '.join(map(str, folders))}."
        )
    if not out:
        return {folder: folder for folder in folders}
    out = pathlib.Path(out)
    if out.exists() and not out.is_dir():
        raise RunError(
            f"--out must be a folder. Received: {str(out)!r}, which is a file."
        )
    if len(folders) == 1:
        return {folders[0]: out}
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        raise RunError(
            "With --out the folders of several runs must differ in their names. "
            f"Received: {', '.join(names)}."
        )
    return {folder: out / name for folder, name in zip(folders, names, strict=True)}


def _corruptions(arguments):
    if not arguments.robustness:
        return ()
    return tuple(arguments.corruptions or CORRUPTIONS)


def _write(folder, evaluation):
    from semppl_keras.reports.evaluation_plots import write_plots

    folder.mkdir(parents=True, exist_ok=True)
    # One of an earlier evaluation would contradict the other files.
    (folder / "robustness.png").unlink(missing_ok=True)
    write_plots(folder, evaluation)
    write_json(folder / "evaluation.json", evaluation)
