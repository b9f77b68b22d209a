"""What a finished run is tested on: its own data, or other."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from semppl_keras.checks import listed
from semppl_keras.data import FewLabels, LabelledTest, NamedDataset, TableOptions
from semppl_keras.data.defaults import CACHE
from semppl_keras.data.few_labels import resized, rows_of
from semppl_keras.data.images.cache import decode_cached
from semppl_keras.data.images.decoding import find_ranges, remarks_on_files
from semppl_keras.data.images.files import resize_image
from semppl_keras.data.images.source_names import own_name, resolved_source
from semppl_keras.data.images.streamed_images import StreamedImages
from semppl_keras.data.images.streaming import LOOKED_AT
from semppl_keras.evaluation import SEVERITIES, corrupt
from semppl_keras.pretraining.base import Pretraining
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.folder import load_data
from semppl_keras.runs.kept_images import LABELLED, TEST
from semppl_keras.runs.new_images import streams
from semppl_keras.runs.options.evaluate import EvaluateOptions
from semppl_keras.runs.progress import Progress
from semppl_keras.runs.telling import tell


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """What a trained model is tested on, and the labels that may be used for it.

    Args:
        kind: "own" for the run's own data; "transfer" for another data set with
            labels of its own; "same_classes" for the test images of another, labelled
            with what the run knows; "test" for a person's own images, the same.
        dataset: As `--dataset` takes it, or, of a person's own images, `--test`.
        name: What the data set is called.
        labels_per_class: How the labelled images were chosen: an integer, "all", or a
            share such as "10%".
        x_labelled: `(n, h, w, c)` in [0, 255].
        y_labelled: `(n,)` integers, every class among them.
        x_test: `(m, h, w, c)` in the same range; either may be `StreamedImages`.
        y_test: `(m,)` integers.
        class_names: One string per class.
        labels_of_run: Whether the labelled images are those that the run was trained
            with.
        skipped: What could not be read, a tuple of `Skipped`.
        num_left_out: How many test images are of classes that the run does not know.
    """

    kind: str
    dataset: str | dict[str, Any]
    name: str
    labels_per_class: int | str
    x_labelled: Any
    y_labelled: np.ndarray
    x_test: Any
    y_test: np.ndarray
    class_names: tuple[str, ...]
    labels_of_run: bool
    skipped: tuple = ()
    num_left_out: int = 0

    def found_unreadable(self) -> tuple:
        """Of the images to test on those that turned out unreadable while they were
        read, a tuple of `Skipped`; others have stood in for them."""
        streamed = isinstance(self.x_test, StreamedImages)
        return tuple(self.x_test.skipped) if streamed else ()


def task_of_run(finished: FinishedRun, options: EvaluateOptions) -> tuple[Task, int]:
    """What the options of an evaluation name for a run.

    Args:
        finished: The run.
        options: `EvaluateOptions`.

    Returns:
        The `Task`, and the seed to work with.

    Raises:
        RunError: There is no such task, or none for this run.
    """
    settings = finished.settings
    seed = settings["seed"] if options.seed is None else options.seed
    if options.test is not None:
        tables = options.asked_tables(finished.dataset.table_options)
        return _own_test(options.test, finished, tables), seed
    own, other = finished.dataset, None
    if options.data is not None:
        named = NamedDataset(options.data, fit=own.fit).resolved()
        other = None if named == own else named
    if options.same_classes and other is None:
        raise RunError(
            "--same-classes is for another data set than the run's. Received: --data "
            f"{options.data}, which the run was trained on."
        )
    recipe = finished.recipe
    if options.labels_per_class is None:
        labels_per_class = settings["labels_per_class"]
    else:
        labels_per_class = options.labels_per_class

    if other is None or options.same_classes:
        # The split that the run was trained on: the same seed.
        needed = (LABELLED,) if options.same_classes else (LABELLED, TEST)
        data = finished.images.whole(labels_per_class, needed)
    else:
        data = load_data(other, labels_per_class, seed, recipe)
    kind = "own" if other is None else "transfer"
    name, x_test, y_test = data.name, data.x_test, data.y_test
    if other is not None and options.same_classes:
        kind = "same_classes"
        tested = other.load_test(
            seed,
            image_size=recipe.image_size,
            value_range=finished.value_range,
        )
        name, x_test, y_test = tested.name, tested.images, named_alike(tested, data)
    if x_test is None or y_test is None:
        raise RunError(
            "There must be labelled test images to evaluate with. Received: "
            f"{name}, which has none. Name a data set that has some with --data."
        )
    task = Task(
        kind=kind,
        dataset=settings["dataset"] if other is None else other.to_json(),
        name=name,
        labels_per_class=labels_per_class,
        x_labelled=data.x_labelled,
        y_labelled=data.y_labelled,
        x_test=_of_size(x_test, data.x_train.shape[1:3], own.fit),
        y_test=y_test,
        class_names=data.class_names,
        # The memory votes with the labels that the run was trained with.
        labels_of_run=kind != "transfer"
        and labels_per_class == settings["labels_per_class"],
    )
    return task, seed


def check_images_fit(
    model: Pretraining, task: Task, corruptions: Sequence[str] | None
) -> None:
    """Fails before anything takes long.

    Args:
        model: The run's pre-training model.
        task: `Task`.
        corruptions: Names, or None.

    Raises:
        RunError: The network, or a corruption, does not take such images.
    """
    height, width, received = task.x_test.shape[1:]
    channels, least = model.backbone.input_shape[-1], model.views.min_image_size
    if received != channels:
        raise RunError(
            f"The run's network takes images with {channels} channel(s). Received: "
            f"{task.name}, whose images have {received}. Convert them."
        )
    if min(height, width) < least:
        raise RunError(
            f"The run's network takes images of at least {least} pixels a side. "
            f"Received: {task.name}, whose images have {height} x {width}. Enlarge "
            "them."
        )
    if corruptions:
        corrupt(task.x_test[:1], corruptions[0], SEVERITIES[0])


def _own_test(source: str, finished: FinishedRun, tables: TableOptions) -> Task:
    """A person's own images, to test what a run has learned from its labels."""
    x_labelled, y_labelled, _ = finished.labelled
    height, width, channels = x_labelled.shape[1:]
    if height != width:
        raise RunError(
            "--test is for runs on square images, since it makes squares of others. "
            f"Received: a run on images of {height} x {width}. Name a data set of such "
            "images with --data and --same-classes."
        )
    dataset, progress = finished.dataset.knowing(finished.class_names), Progress()
    tested = dataset.open_test(source, tables)
    streamed = streams(finished, tested)
    ranges, remarks = find_ranges(
        tested.some(LOOKED_AT) if streamed else tested,
        finished.value_range,
        lambda *counts: progress("deep images", *counts),
    )
    images, decoded = decode_cached(
        tested,
        height,
        channels,
        fit=dataset.fit,
        place="none" if streamed else CACHE,
        ranges=ranges,
        max_skipped=dataset.max_skipped,
        progress=lambda *counts: progress("images to test on", *counts),
    )
    class_names = finished.class_names
    texts = tested.labels_of(decoded.kept)
    labels = tested.numbers_of(decoded.kept, class_names)
    known = labels >= 0
    unknown = sorted(set(texts) - set(class_names))
    if not known.any():
        raise RunError(
            "The images of --test must be of the classes of the run, "
            f"{listed(class_names)}. Received: {listed(unknown)}. Name their classes "
            "as the run does."
        )
    notes = [
        *tested.remarks,
        *remarks,
        *remarks_on_files(decoded, len(tested), "test images", of_run=True),
    ]
    if unknown:
        notes.append(
            f"{np.sum(~known):,} test images are left out: the run does not know "
            f"{listed(unknown)}."
        )
    if decoded.skipped:
        name, reason = decoded.skipped[0]
        notes.append(
            f"{len(decoded.skipped):,} of {len(tested):,} test images cannot be read, "
            f"such as {name!r}: {reason}. evaluation.json names all."
        )
    if streamed:
        # Those of a class may stand in for each other.
        images = images.labelled(labels)
    untested = [name for name in class_names if name not in set(texts)]
    if untested:
        notes.append(f"There is no test image of {listed(untested)}.")
    for note in notes:
        tell(f"Note: {note}")
    return Task(
        kind="test",
        dataset=resolved_source(source),
        name=own_name(source),
        labels_per_class=finished.settings["labels_per_class"],
        x_labelled=x_labelled,
        y_labelled=y_labelled,
        x_test=images if known.all() else rows_of(images, np.flatnonzero(known)),
        y_test=labels[known],
        class_names=class_names,
        labels_of_run=True,
        skipped=tuple(decoded.skipped),
        num_left_out=int(np.sum(~known)),
    )


def named_alike(tested: LabelledTest, data: FewLabels) -> np.ndarray:
    """The labels of other test images, as the run numbers its classes.

    By name, or by number where one of the two has nothing else.

    Args:
        tested: The images, with labels of `(images,)`, from 0.
        data: What the run learns from.

    Returns:
        Integers of `(images,)`.

    Raises:
        RunError: The classes are not those of the run.
    """
    names, labels = tested.class_names, tested.labels
    if names is not None and set(names) <= set(data.class_names):
        numbers = np.array([data.class_names.index(name) for name in names])
        return numbers[labels]
    if names is not None and not (
        _are_numbers(names) or _are_numbers(data.class_names)
    ):
        unknown = sorted(set(names) - set(data.class_names))
        raise RunError(
            "--same-classes needs a data set with the classes of the run. "
            f"Received: {tested.name} with {', '.join(unknown[:5])}, which are none of "
            f"{', '.join(data.class_names[:5])}, ... Rename them, or leave "
            "--same-classes out to test the features with labels of the data set's own."
        )
    if labels.max() >= data.num_classes or len(names or ()) > data.num_classes:
        count = len(names) if names else int(labels.max()) + 1
        raise RunError(
            "--same-classes needs a data set with the classes of the run. "
            f"Received: {tested.name} with {count} classes, where {data.name} has "
            f"{data.num_classes}. Leave --same-classes out to test the features with "
            "labels of the data set's own."
        )
    return labels


def _are_numbers(names: Sequence[str]) -> bool:
    return tuple(names) == tuple(map(str, range(len(names))))


def _of_size(images: np.ndarray, shape: tuple[int, int], fit: str) -> np.ndarray:
    """What learned from images of one size is tested on images of this size."""
    if images.shape[1:3] == shape:
        return images
    height, width, channels = images.shape[1:]
    if fit != "crop" and height != width:
        # As the images of the run became squares.
        squares = [resize_image(one, shape[0], channels, fit=fit) for one in images]
        return np.stack(squares)
    # The central part, where the proportions are others.
    return resized(images, shape, antialias=True, crop_to_aspect_ratio=True)
