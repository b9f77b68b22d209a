"""A finished run, as the commands after training need it."""

import functools
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from semppl_keras.checks import listed
from semppl_keras.data import Dataset, FewLabels
from semppl_keras.evaluation import fit_probe
from semppl_keras.networks import ImageClassifier, ImageEmbedder, linear_classifier
from semppl_keras.pretraining import Pretraining
from semppl_keras.recipes import Recipe
from semppl_keras.runs.changed_labels import labels_of, tell_changed_labels
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.folder import (
    dataset_of,
    load_data,
    read_finished_run,
    recipe_of,
    value_range_of,
)
from semppl_keras.runs.run_images import LabelledImages, RunImages
from semppl_keras.runs.run_models import (
    CLASSIFIER,
    check_model,
    how_it_was_trained,
    load_classifier,
)
from semppl_keras.runs.safety.loading import check_folder, load_model
from semppl_keras.runs.safety.own_runs import check_sources


class FinishedRun:
    """The folder that `semppl train` has written, read as it is needed.

    Args:
        folder: path.
        trust: Whether what it names is followed and imported, whoever has written it.

    Raises:
        RunError: There is no run, none that is finished, or one that holds
            something that could be executed.
    """

    def __init__(self, folder: str | os.PathLike[str], *, trust: bool = False) -> None:
        self.folder = pathlib.Path(folder)
        self.trust = trust
        self.settings = read_finished_run(self.folder)
        check_folder(self.folder, trust=trust)
        self._told = False

    @functools.cached_property
    def model(self) -> Pretraining:
        """The pre-trained model.

        Raises:
            RunError: The file holds another, or one that is none of this run.
        """
        path = self.folder / "model.keras"
        model = load_model(path, Pretraining, trust=self.trust)
        check_model(path, model, self.settings.get("class_names"))
        return model

    @functools.cached_property
    def recipe(self) -> Recipe:
        """The `Recipe` it was trained by."""
        return recipe_of(self.settings)

    @functools.cached_property
    def data(self) -> FewLabels:
        """`FewLabels`, split and labelled as in training."""
        data = load_data(
            self._followed(),
            self.settings["labels_per_class"],
            self.settings["seed"],
            self.recipe,
            folder=self.folder,
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
    def channels(self) -> int:
        """Of its images, 1 or 3."""
        return self.model.backbone.input_shape[-1]

    @property
    def image_size(self) -> int:
        """Pixels of a side, to which its images were brought."""
        return self.recipe.image_size or self.model.views.large_size

    @property
    def fit(self) -> str:
        """How they became squares, as `read_image` takes it."""
        return self.dataset.fit

    @property
    def value_range(self) -> Any:
        """By which range its deep images were read, as `find_ranges` takes it."""
        return value_range_of(self.settings)

    @property
    def class_names(self) -> tuple[str, ...]:
        """One text for each class."""
        return tuple(self.settings.get("class_names") or self.data.class_names)

    @functools.cached_property
    def labelled(self) -> LabelledImages:
        """The `LabelledImages` that it was trained with.

        Of a person's own images the labelled ones alone are read: there are few.

        Raises:
            RunError: They are no longer what they were.
        """
        if self._followed().in_parts:
            labelled = self._images().labelled()
            self._tell_changed_labels(labelled.labels, self.class_names)
            return labelled
        data = self.data
        names = [f"labelled image {index}" for index in range(len(data.x_labelled))]
        return LabelledImages(data.x_labelled, data.y_labelled, names)

    @functools.cached_property
    def test(self) -> LabelledImages | None:
        """The `LabelledImages` to test on, or None where there are none."""
        dataset = self._followed()
        if not dataset.has_test:
            return None
        if dataset.in_parts:
            return self._images().test()
        data = self.data
        if data.x_test is None or data.y_test is None:
            return None
        names = [f"test image {index}" for index in range(len(data.x_test))]
        return LabelledImages(data.x_test, data.y_test, names)

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The `Dataset` that it was trained on, which knows its classes."""
        return dataset_of(self.settings)

    def _followed(self) -> Dataset:
        """The same, if it may be read."""
        check_sources(self.folder, self.settings, trust=self.trust)
        return self.dataset

    def _images(self) -> RunImages:
        return RunImages(
            self.folder,
            self.settings,
            self.dataset,
            self.class_names,
            self.image_size,
            self.channels,
        )

    def _tell_changed_labels(
        self, labels: np.ndarray, class_names: Sequence[str]
    ) -> None:
        """Says once that they are not those of the training."""
        if not self._told:
            self._told = tell_changed_labels(
                self.settings,
                labels_of(class_names, labels),
                "trained",
                "those of now are used",
            )

    def embedder(self) -> ImageEmbedder:
        """The backbone with its preprocessing, an `ImageEmbedder`."""
        return ImageEmbedder(self.model.backbone, self.model.views, name="embedder")

    def classifier(
        self, path: str | os.PathLike[str] | None = None
    ) -> tuple[ImageClassifier, str]:
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
        classifier = load_classifier(
            pathlib.Path(path),
            self.folder,
            self.class_names,
            self.channels,
            trust=self.trust,
        )
        return classifier, how_it_was_trained(pathlib.Path(path))

    def linear_classifier(self) -> ImageClassifier:
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
