"""A finished run, as the commands after training need it."""

import csv
import functools
import pathlib
from typing import NamedTuple

import keras
import numpy as np

from semppl_keras.data import choose_labelled
from semppl_keras.data.checks import listed
from semppl_keras.data.images.cache import decode_cached
from semppl_keras.data.images.decoding import find_ranges
from semppl_keras.data.images.sources import open_images
from semppl_keras.data.images.spreadsheets import content_of
from semppl_keras.data.own_images import images_folder
from semppl_keras.evaluation import fit_probe
from semppl_keras.export import ImageEmbedder
from semppl_keras.networks import ImageClassifier, linear_classifier
from semppl_keras.pretraining import Pretraining
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.folder import (
    load_data,
    read_finished_run,
    recipe_of,
    tables_of,
    user_errors,
    value_range_of,
)
from semppl_keras.runs.json_files import integer, read_json
from semppl_keras.runs.labels import labels_of, tell_changed_labels
from semppl_keras.runs.own_runs import check_sources
from semppl_keras.runs.safe_loading import check_folder, load_model

CLASSIFIER = "classifier.keras"

_ROWS_AT_ONCE = 4096


class LabelledImages(NamedTuple):
    """Images with labels.

    Args:
        images: `(n, s, s, channels)` in [0, 255].
        labels: `(n,)` integers.
        names: list of str, what each is called: its path where it is known.
    """

    images: np.ndarray
    labels: np.ndarray
    names: list


class FinishedRun:
    """The folder that `semppl train` has written, read as it is needed.

    Args:
        folder: path.
        trust: Whether what it names is followed and imported, whoever has written it.

    Raises:
        RunError: There is no run, none that is finished, or one that holds
            something that could be executed.
    """

    def __init__(self, folder, *, trust=False):
        self.folder = pathlib.Path(folder)
        self.trust = trust
        self.settings = read_finished_run(self.folder)
        check_folder(self.folder, trust=trust)
        self._told = False

    @functools.cached_property
    def model(self):
        """The pre-trained model.

        Raises:
            RunError: The file holds another, or one that is none of this run.
        """
        path = self.folder / "model.keras"
        model = load_model(path, Pretraining, trust=self.trust)
        check_model(path, model, self.settings.get("class_names"))
        return model

    @functools.cached_property
    def recipe(self):
        """The `Recipe` it was trained by."""
        return recipe_of(self.settings)

    @functools.cached_property
    def data(self):
        """`FewLabels`, split and labelled as in training."""
        data = load_data(
            self._dataset(),
            self.settings["labels_per_class"],
            self.settings["seed"],
            self.recipe,
            folder=self.folder,
            class_names=self.settings.get("class_names") or (),
            value_range=self.value_range,
        )
        names = tuple(self.settings.get("class_names") or data.class_names)
        if names != data.class_names:
            raise RunError(
                f"The run in {str(self.folder)!r} was trained with the classes "
                f"{listed(names)}. Received: {listed(data.class_names)}. Bring the "
                "labels back, or train again."
            )
        self._tell_changed_labels(data.y_labelled, names)
        return data

    @property
    def channels(self):
        """Of its images, 1 or 3."""
        return self.model.backbone.input_shape[-1]

    @property
    def image_size(self):
        """Pixels of a side, to which its images were brought."""
        return self.recipe.image_size or self.model.views.large_size

    @property
    def value_range(self):
        """By which range its deep images were read, as `find_ranges` takes it."""
        return value_range_of(self.settings)

    @property
    def class_names(self):
        """One text for each class."""
        return tuple(self.settings.get("class_names") or self.data.class_names)

    @functools.cached_property
    def labelled(self):
        """The `LabelledImages` that it was trained with.

        Of a person's own images the labelled ones alone are read: there are few.

        Raises:
            RunError: They are no longer what they were.
        """
        if isinstance(self._dataset(), dict):
            with user_errors():
                return self._own_labelled()
        data = self.data
        names = [f"labelled image {index}" for index in range(len(data.x_labelled))]
        return LabelledImages(data.x_labelled, data.y_labelled, names)

    @functools.cached_property
    def test(self):
        """The `LabelledImages` to test on, or None where there are none."""
        dataset = self._dataset()
        if isinstance(dataset, dict):
            if dataset["test"] is None:
                return None
            with user_errors():
                tested, known, _ = self._own_images(dataset["test"], "test")
            if not known.any():
                return None
            return LabelledImages(
                tested.images[known],
                tested.labels[known],
                [tested.names[index] for index in np.flatnonzero(known)],
            )
        data = self.data
        if data.y_test is None:
            return None
        names = [f"test image {index}" for index in range(len(data.x_test))]
        return LabelledImages(data.x_test, data.y_test, names)

    def _dataset(self):
        """Where its images are, if that may be followed."""
        check_sources(self.folder, self.settings, trust=self.trust)
        return self.settings["dataset"]

    def _own_labelled(self):
        source, names = self.settings["dataset"]["labelled"], self.class_names
        own, known, skipped = self._own_images(source, "labelled")
        if not known.all():
            raise RunError(
                f"The labelled images of {str(self.folder)!r} must be of its classes, "
                f"{', '.join(names[:5])}, ... Received: others, such as "
                f"{own.names[np.argmin(known)]!r} in {source}. Bring the labels back, "
                "or train again."
            )
        count = self.settings["labels_per_class"]
        lost = self._lost_since(skipped)
        self._check_classes_left(own.labels, 1 if count == "all" else count, lost)
        chosen = choose_labelled(
            own.labels,
            None if count == "all" else count,
            len(names),
            self.settings["seed"],
        )
        # Of a folder, what is gone is not even listed.
        before = read_json(self.folder / "metrics.json", {"num_labelled": integer(1)})
        missing = max(len(lost), before["num_labelled"] - len(chosen))
        if missing > 0:
            such_as = f": {listed(lost)}" if lost else ""
            print(
                f"Note: {missing:,} of the {before['num_labelled']:,} labelled images "
                f"that the run was trained with are missing{such_as}; what is "
                f"left in {source} is used.",
                flush=True,
            )
        self._tell_changed_labels(own.labels[chosen], names)
        return LabelledImages(
            own.images[chosen],
            own.labels[chosen],
            [own.names[index] for index in chosen],
        )

    def _tell_changed_labels(self, labels, class_names):
        """Says once that they are not those of the training."""
        if not self._told:
            self._told = tell_changed_labels(
                self.settings,
                labels_of(class_names, labels),
                "trained",
                "those of now are used",
            )

    def _own_images(self, source, role):
        """Those that can be read, which are of a class of the run, and the others."""
        found = open_images(
            source,
            role,
            tables_of(self.settings),
            images_folder(self.settings["dataset"]["unlabelled"]),
        )
        ranges, _ = find_ranges(found, self.value_range)
        images, decoded = decode_cached(
            found, self.image_size, self.channels, ranges=ranges, max_skipped=1.0
        )
        numbers = {name: number for number, name in enumerate(self.class_names)}
        labels = np.array(
            [numbers.get(found.labels[index], -1) for index in decoded.kept], "int32"
        )
        names = [found.names[index] for index in decoded.kept]
        return LabelledImages(images, labels, names), labels >= 0, decoded.skipped

    def _lost_since(self, skipped):
        """Of the `Skipped` the names that could be read in training."""
        path = self.folder / "skipped.tsv"
        earlier = set()
        if path.is_file():
            # As `semppl train` has written it.
            form = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
            try:
                with path.open(**form) as file:
                    rows = csv.reader(file, delimiter="\t")
                    earlier = {content_of(row[0]) for row in rows if row}
            except csv.Error as error:
                raise RunError(
                    f"{str(path)!r} must be the table that semppl train has written. "
                    f"Received: something else ({error}). Remove it."
                ) from error
        return [one.name for one in skipped if one.name not in earlier]

    def _check_classes_left(self, labels, needed, lost):
        counts = np.bincount(labels, minlength=len(self.class_names))
        short = np.flatnonzero(counts < needed)
        if len(short):
            names = [repr(self.class_names[number]) for number in short]
            source = self.settings["dataset"]["labelled"]
            raise RunError(
                f"Every class of the run in {str(self.folder)!r} must have the "
                f"labelled images that it was trained with, at least {needed}. "
                f"Received: {counts[short[0]]} of {names[0]} in {source}"
                + (f", too few of {', '.join(names[1:])}, too" if names[1:] else "")
                + (f"; missing: {listed(lost)}" if lost else "")
                + ". Bring the files back, or train again."
            )

    def embedder(self):
        """The backbone with its preprocessing, an `ImageEmbedder`."""
        return ImageEmbedder(self.model.backbone, self.model.views, name="embedder")

    def classifier(self, path=None):
        """Images to class probabilities.

        The fine-tuned or distilled classifier where the run has one; otherwise the
        linear probe of the frozen network, fitted to the labelled images: unlike the
        votes of the memory it gives calibrated probabilities, and needs no memory.

        Args:
            path: Of the `.keras` file of another classifier, or None.

        Returns:
            The `ImageClassifier` and what it is called.

        Raises:
            RunError: There is none at `path`, or one of other classes or of images
                with other channels than the run's.
        """
        if path is None and (self.folder / CLASSIFIER).exists():
            path = self.folder / CLASSIFIER
        if path is None:
            return self.linear_classifier(), "linear probe"
        path = pathlib.Path(path)
        if not path.is_file():
            raise RunError(f"There must be a classifier at {path}. Received: none.")
        classifier = load_model(path, trust=self.trust)
        if not isinstance(classifier, ImageClassifier):
            raise RunError(
                f"{str(path)!r} must be a classifier that semppl finetune or semppl "
                f"distil has written. Received: {type(classifier).__name__}."
            )
        # Columns are named by the run: of other classes all names would be wrong.
        expected = [str(name) for name in self.class_names]
        received = classifier.class_names
        if received is None:
            same = classifier.num_classes == len(expected)
            received = [f"{classifier.num_classes} without names"]
        else:
            same = list(received) == expected
        if not same:
            raise RunError(
                f"{str(path)!r} must be a classifier of the {len(expected)} classes of "
                f"{str(self.folder)!r}, in their order: {', '.join(expected)}. "
                f"Received: {', '.join(received)}. Name the run that it belongs to, or "
                "another classifier."
            )
        channels = classifier.backbone.input_shape[-1]
        if channels != self.channels:
            raise RunError(
                f"{str(path)!r} must take images with {self.channels} channel(s), as "
                f"{str(self.folder)!r} does. Received: one for {channels}. Name the "
                "run that it belongs to, or another classifier."
            )
        return classifier, how_it_was_trained(path)

    def linear_classifier(self):
        """The linear probe on the frozen network, an `ImageClassifier`."""
        images, labels, _ = self.labelled
        features = self.model.embed(images)
        probe = fit_probe(features, labels, seed=self.settings["seed"])
        return linear_classifier(
            self.model.backbone,
            self.model.views,
            probe,
            len(self.class_names),
            self.class_names,
        )


def check_model(path, model, class_names=None):
    """Fails where a pre-trained model is none of a run.

    Args:
        path: Of the model.
        model: `Pretraining`.
        class_names: One text for each class of the run, or None where not known.

    Raises:
        RunError: It takes no images, or knows other classes.
    """
    shape = model.backbone.input_shape
    if len(shape) != 4 or shape[-1] is None:
        raise RunError(
            f"{str(path)!r} must take images (B, height, width, channels). Received: "
            f"a model of inputs {shape}. Bring it back from a copy, or train again."
        )
    known = getattr(model, "num_classes", None)
    if class_names is not None and known not in (None, len(class_names)):
        raise RunError(
            f"{str(path)!r} must be a model of the {len(class_names)} classes that "
            f"run.json names. Received: one of {known}. Bring both back from a copy, "
            "or train again."
        )


def how_it_was_trained(path):
    """What the note beside a classifier says, such as "fine-tuned".

    Raises:
        RunError: The note is damaged.
    """
    note = path.with_suffix(".json")
    if not note.is_file():
        return path.stem
    advice = "Remove it, or run semppl finetune or semppl distil again."
    return str(read_json(note, advice=advice).get("how", path.stem))


def as_probabilities(classifier, features):
    """What a classifier says of features that its backbone gave.

    Args:
        classifier: `ImageClassifier`.
        features: `(N, F)` float32.

    Returns:
        `(N, num_classes)` float32.
    """
    # Without `predict`, which would trace a small function anew.
    starts = range(0, len(features), _ROWS_AT_ONCE)
    logits = [
        keras.ops.convert_to_numpy(
            classifier.head(features[start : start + _ROWS_AT_ONCE])
        )
        for start in starts
    ]
    logits = np.concatenate(logits).astype("float32")
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
