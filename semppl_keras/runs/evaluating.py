"""What finished runs are worth, on their own data or on other."""

import os
import pathlib
import time
from collections.abc import Sequence

import keras

from semppl_keras.evaluation import CORRUPTIONS, SEVERITIES
from semppl_keras.networks import ImageClassifier
from semppl_keras.own_output import is_own_picture
from semppl_keras.reports.evaluation_table import (
    format_means,
    mean_over_runs,
)
from semppl_keras.runs.alike_runs import check_alike
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.folder import versions
from semppl_keras.runs.options.evaluate import EvaluateOptions
from semppl_keras.runs.options.pack import ENDING
from semppl_keras.runs.results.evaluation import Evaluation
from semppl_keras.runs.safety.json_files import read_json
from semppl_keras.runs.safety.out_paths import check_can_write
from semppl_keras.runs.task_measures import measure
from semppl_keras.runs.tasks import Task, check_images_fit, task_of_run
from semppl_keras.runs.telling import tell, told
from semppl_keras.runs.whole_files import write_json

# What is written, and what it has in any version.
_JSON = "evaluation.json"
_ENTRIES = frozenset(("rows", "robustness", "run_settings"))
_OF_SEVERAL = frozenset(("rows", "runs"))
_PICTURES = ("confusion.png", "per_class.png", "reliability.png", "robustness.png")


@told
def evaluate(
    runs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    data: str | None = None,
    test: str | os.PathLike[str] | None = None,
    label_column: str | None = None,
    path_column: str | None = None,
    split_column: str | None = None,
    keep_labels: Sequence[str] | None = None,
    unknown_labels: Sequence[str] | None = None,
    same_classes: bool = False,
    labels_per_class: int | str | None = None,
    fine_tune: bool = False,
    from_layer: int | None = None,
    robustness: bool = False,
    severities: Sequence[int] | None = None,
    corruptions: Sequence[str] | None = None,
    classifier: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    photos: str | os.PathLike[str] | None = None,
    trust: bool = False,
    verbose: int = 1,
) -> list[Evaluation]:
    """Measures finished runs on test images: their own, or those of other data.

    Args:
        runs: Run folder, or a file that `pack` has written, or a list of them; several
            should differ in the seed, or in the labels, alone.
        data: Another data set, as `dataset` of `train`. None for the run's.
        test: Your own images of the run's classes to test on: a folder for each class,
            or another source with labels that `semppl evaluate --help` names.
        label_column: The column of a table that has the labels.
        path_column: That which has the paths.
        split_column: "NAME=VALUE", a column and what it says of rows to train on.
        keep_labels: Labels that are classes, though spelled like one that is missing.
        unknown_labels: Further labels that stand for none.
        same_classes: Whether the classes of `data` are among those of the run, which
            is then tested with what it has learned.
        labels_per_class: At least 1, a share such as "10%", or "all". None for as
            many as the run has.
        fine_tune: Whether a copy of the network is trained on the labels, too.
        from_layer: At least 0, the layer of the projection head to fine-tune from.
            None for its first.
        robustness: Whether corrupted images are tested on, too.
        severities: Of the corruptions, a list of integers from 1 to 5. None for all.
        corruptions: A list of names among `evaluation.CORRUPTIONS`. None for all.
        classifier: Another one than each run's: its name, such as "linear", or a
            `classifier.keras`.
        out: Folder to write to, in the place of the run's.
        seed: At least 0; draws cross-validation, fine-tuning, corruptions and the
            labelled images of another data set. None for the run's.
        photos: Folder in which the images of the run are now; None for where they were.
        trust: Whether a run may be somebody else's.
        verbose: 0 to say nothing, 1 as the command does, 2 for more.

    Returns:
        A list of an `Evaluation` for each run: the dict that its `evaluation.json`
        holds, and the folder of that.

    Raises:
        RunError: A value is wrong, or what was asked for cannot be done.
        TypeError: A value is of the wrong kind.

    Example:
        >>> (evaluation,) = evaluate("runs/photos", robustness=True, severities=[1, 5])
        >>> evaluation["rows"]["linear_probe"]["top1"]
    """
    return evaluate_with(
        EvaluateOptions.of(
            runs=runs,
            data=data,
            test=test,
            label_column=label_column,
            path_column=path_column,
            split_column=split_column,
            keep_labels=keep_labels,
            unknown_labels=unknown_labels,
            same_classes=same_classes,
            labels_per_class=labels_per_class,
            fine_tune=fine_tune,
            from_layer=from_layer,
            robustness=robustness,
            severities=severities,
            corruptions=corruptions,
            classifier=classifier,
            out=out,
            seed=seed,
            photos=photos,
            trust=trust,
        )
    )


def evaluate_with(options: EvaluateOptions) -> list[Evaluation]:
    """The same, of options that are filled already."""
    check_can_write(options.out, folder=True)
    runs = [
        FinishedRun(name, trust=options.trust, photos=options.photos)
        for name in options.runs
    ]
    targets = _targets([finished.named for finished in runs], options.out)
    for target in targets.values():
        _check_own(target)
    if len(runs) > 1 and options.out:
        _check_own(pathlib.Path(options.out), _OF_SEVERAL)
    check_alike(runs, options)
    for finished in runs:
        finished.check_can_be_written(options.out)
    corruptions = (options.corruptions or CORRUPTIONS) if options.robustness else ()

    evaluations = []
    for finished in runs:
        begun, folder = time.monotonic(), finished.named
        task, seed = task_of_run(finished, options)
        tell(
            f"{folder}: {task.name}, {len(task.x_labelled):,} labelled images of "
            f"{len(task.class_names)} classes, {len(task.x_test):,} to test on, "
            f"{keras.backend.backend()}."
        )
        model = finished.model
        check_images_fit(model, task, options.corruptions)
        measured = measure(
            model,
            task,
            classifier=_classifier(finished, task, options),
            is_trained=finished.is_trained,
            untrained=finished.is_untrained,
            seed=seed,
            fine_tune=options.fine_tune,
            from_layer=options.from_layer,
            corruptions=corruptions,
            severities=options.severities or SEVERITIES,
        )
        found = task.found_unreadable()
        if found:
            tell(
                f"Note: {len(found):,} test images cannot be read, such as "
                f"{found[0].name!r}: {found[0].reason}; others stood in for them. "
                "evaluation.json names all."
            )
        entries = {
            "run": str(folder.resolve()),
            "run_settings": finished.settings,
            "data": task.dataset,
            "kind": task.kind,
            "labels_per_class": task.labels_per_class,
            "seed": seed,
            "num_labelled": len(task.x_labelled),
            "num_test": len(task.x_test),
            "num_left_out": task.num_left_out,
            "skipped": [list(one) for one in (*task.skipped, *found)],
            "class_names": list(task.class_names),
            **measured,
            "seconds": round(time.monotonic() - begun, 2),
            "backend": keras.backend.backend(),
            "versions": versions(),
        }
        evaluation = Evaluation(targets[folder], entries)
        _write(targets[folder], evaluation)
        tell(f"\n{evaluation.table()}\n\nWritten to {targets[folder]}\n")
        evaluations.append(evaluation)
    if len(evaluations) > 1:
        means = mean_over_runs(evaluations)
        tell(format_means(means, evaluations))
        if options.out:
            write_json(
                pathlib.Path(options.out) / _JSON,
                {"runs": evaluations, **means},
            )
    return evaluations


def _classifier(
    finished: FinishedRun, task: Task, options: EvaluateOptions
) -> tuple[ImageClassifier, str] | None:
    """The classifier of a run, and what it is called, where it is for the task."""
    if task.kind == "transfer":
        if options.classifier is None:
            return None
        raise RunError(
            f"--classifier is for the classes of the run. Received: {task.name}, which "
            "has others. Leave it out, or add --same-classes."
        )
    if options.classifier is None and not (
        # A run of an earlier version has not chosen any.
        task.labels_of_run and "classifier" in finished.metrics
    ):
        return None
    classifier = finished.classifier(options.classifier)
    finished.tell_classifier(options.classifier)
    return classifier


def _targets(
    folders: Sequence[pathlib.Path], out: str | None
) -> dict[pathlib.Path, pathlib.Path]:
    """Where the files of each run go."""
    if len(set(folders)) < len(folders):
        raise RunError(
            f"Every RUN must be named once. Received: {', '.join(map(str, folders))}."
        )
    if not out:
        return {folder: folder for folder in folders}
    target = pathlib.Path(out)
    if len(folders) == 1:
        return {folders[0]: target}
    # A packed run is called as its folder was.
    names = [folder.resolve().name.removesuffix(ENDING) for folder in folders]
    if len(set(names)) < len(names):
        raise RunError(
            "With --out the folders of several runs must differ in their names. "
            f"Received: {', '.join(names)}."
        )
    return {folder: target / name for folder, name in zip(folders, names, strict=True)}


def _check_own(folder: pathlib.Path, entries: frozenset[str] = _ENTRIES) -> None:
    """Fails where something else than an earlier evaluation would be replaced.

    Args:
        folder: To write to.
        entries: What its `evaluation.json` has at least.
    """
    path = folder / _JSON
    if path.exists():
        advice = "Remove it, or choose another --out."
        others = [] if entries <= read_json(path, advice=advice).keys() else [path]
    else:
        pictures = [folder / name for name in _PICTURES]
        others = [one for one in pictures if one.exists() and not is_own_picture(one)]
    if others:
        raise RunError(
            "--out must be a folder where an evaluation replaces nothing but an "
            f"earlier one. Received: {str(folder)!r}, in which "
            f"{', '.join(one.name for one in others)} is something else. Choose "
            "another --out."
        )


def _write(folder: pathlib.Path, evaluation: Evaluation) -> None:
    from semppl_keras.reports.evaluation_plots import write_plots

    folder.mkdir(parents=True, exist_ok=True)
    # One of an earlier evaluation would contradict the other files.
    (folder / "robustness.png").unlink(missing_ok=True)
    write_plots(folder, evaluation)
    write_json(folder / _JSON, evaluation)
