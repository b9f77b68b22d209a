"""A finished run, as the commands after training need it."""

import functools
import json
import pathlib

import keras
import numpy as np

from semppl_keras.cli.run_folder import (
    CommandError,
    load_data,
    read_finished_run,
    recipe_of,
)
from semppl_keras.cli.safe_loading import check_folder, load_model
from semppl_keras.distillation import ImageClassifier
from semppl_keras.evaluation import linear_probe, sgd_linear_probe
from semppl_keras.export import ImageEmbedder, linear_classifier

CLASSIFIER = "classifier.keras"

# Up to here the exact optimum of the probe is found in seconds to a minute.
_MOST_ROWS_FOR_EXACT_PROBE = 5000
_ROWS_AT_ONCE = 4096


class FinishedRun:
    """The folder that `semppl train` has written, read as it is needed.

    Args:
        folder: path.

    Raises:
        CommandError: There is no run, none that is finished, or one that holds
            something that could be executed.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.settings = read_finished_run(self.folder)
        check_folder(self.folder)

    @functools.cached_property
    def model(self):
        """The pre-trained model."""
        return load_model(self.folder / "model.keras")

    @functools.cached_property
    def recipe(self):
        """The `Recipe` it was trained by."""
        return recipe_of(self.settings["dataset"], self.settings["epochs"])

    @functools.cached_property
    def data(self):
        """`FewLabels`, split and labelled as in training."""
        return load_data(
            self.settings["dataset"],
            self.settings["labels_per_class"],
            self.settings["seed"],
            self.recipe,
        )

    @property
    def channels(self):
        """Of its images, 1 or 3."""
        return self.model.backbone.input_shape[-1]

    @property
    def image_size(self):
        """Pixels of a side, to which its images were brought."""
        return self.recipe.image_size or self.model.views.large_size

    @property
    def class_names(self):
        """One text for each class."""
        return self.data.class_names

    @property
    def labelled_images(self):
        """`(n, s, s, channels)`, those that it was trained with."""
        return self.data.x_labelled

    @functools.cached_property
    def labelled_names(self):
        """What each of them is called: its path where it is known."""
        names = getattr(self.data, "train_names", ())
        if names:
            return [names[index] for index in self.data.labelled_indices]
        return [f"labelled image {index}" for index in range(len(self.data.x_labelled))]

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
            CommandError: There is none at `path`.
        """
        if path is None and (self.folder / CLASSIFIER).exists():
            path = self.folder / CLASSIFIER
        if path is None:
            return self.linear_classifier(), "linear probe"
        path = pathlib.Path(path)
        if not path.is_file():
            raise CommandError(f"There must be a classifier at {path}. Received: none.")
        classifier = load_model(path)
        if not isinstance(classifier, ImageClassifier):
            raise CommandError(
                f"{str(path)!r} must be a classifier that semppl finetune or semppl "
                f"distil has written. Received: {type(classifier).__name__}."
            )
        return classifier, how_it_was_trained(path)

    def linear_classifier(self):
        """The linear probe on the frozen network, an `ImageClassifier`."""
        data = self.data
        probe = fit_probe(
            self.model.embed(data.x_labelled), data.y_labelled, self.settings["seed"]
        )
        return linear_classifier(
            self.model.backbone,
            self.model.views,
            probe,
            data.num_classes,
            data.class_names,
        )


def fit_probe(features, labels, seed, **options):
    """A linear probe, exact where that does not take too long.

    Args:
        features: `(N, F)`.
        labels: `(N,)` integers.
        seed: Of cross-validation, or of batches.
        **options: As for `linear_probe`; without effect on many rows.

    Returns:
        What `linear_probe` or `sgd_linear_probe` returns.
    """
    if len(features) > _MOST_ROWS_FOR_EXACT_PROBE:
        return sgd_linear_probe(features, labels, seed=seed)
    return linear_probe(features, labels, seed=seed, **options)


def how_it_was_trained(path):
    """What the note beside a classifier says, such as "fine-tuned"."""
    note = path.with_suffix(".json")
    if not note.is_file():
        return path.stem
    return str(json.loads(note.read_text()).get("how", path.stem))


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
