"""A finished run, as the commands after training need it."""

import functools
import os
import pathlib
import shutil
import tempfile
import weakref
from typing import Any

from semppl_keras.data import Dataset, FewLabels
from semppl_keras.evaluation import fit_probe
from semppl_keras.evaluation.classifier_titles import TITLES, title
from semppl_keras.networks import ImageClassifier, ImageEmbedder, linear_classifier
from semppl_keras.networks.calibrated import calibrated_classifier
from semppl_keras.pretraining import Pretraining, SemPPL
from semppl_keras.pretraining.memory_classifier import memory_classifier
from semppl_keras.recipes import Recipe
from semppl_keras.reports.run_table import chosen_by
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.folder import (
    goes_on,
    read_finished_run,
    read_metrics,
    recipe_of,
    value_range_of,
)
from semppl_keras.runs.pixel_classifier import fit_pixel_probe, pixel_embedder
from semppl_keras.runs.run_backbone import BACKBONE, new_backbone
from semppl_keras.runs.run_data import RunData
from semppl_keras.runs.run_images import LabelledImages
from semppl_keras.runs.run_models import (
    CLASSIFIER,
    FROZEN,
    OF_THEIR_OWN,
    TUNED,
    check_model,
    head_path,
    how_it_was_trained,
    load_classifier,
    load_head,
    network_path,
)
from semppl_keras.runs.safety.loading import check_folder, load_model
from semppl_keras.runs.safety.packed_runs import is_packed, unpack
from semppl_keras.runs.telling import tell


class FinishedRun:
    """The folder that `semppl train` has written, read as it is needed.

    Args:
        run: Path of the folder, or of a file that `pack` has written, which is
            unpacked for as long as this lives.
        trust: Whether what it names is followed and imported, whoever has written it.
        photos: Folder in which its images are now; None for where it says.

    Raises:
        RunError: There is no run, none that is finished, or one that holds
            something that could be executed.
    """

    def __init__(
        self,
        run: str | os.PathLike[str],
        *,
        trust: bool = False,
        photos: str | os.PathLike[str] | None = None,
    ) -> None:
        self.named = pathlib.Path(run)
        self.trust = trust
        self.packed = is_packed(self.named)
        self.folder = self._unpacked() if self.packed else self.named
        self.settings = read_finished_run(self.folder, self.named)
        check_folder(self.folder, trust=trust)
        self.images = RunData(
            self.folder,
            self.settings,
            lambda: self.recipe,
            lambda: (self.image_size, self.channels),
            photos=photos,
            trust=trust,
            own=not self.packed,
            named=self.named,
        )

    def _unpacked(self) -> pathlib.Path:
        """A folder that goes with this."""
        place = pathlib.Path(tempfile.mkdtemp(prefix="semppl_"))
        weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        folder = place / (self.named.stem.strip(".") or "run")
        unpack(self.named, folder)
        return folder

    def check_can_be_written(self, out: str | os.PathLike[str] | None) -> None:
        """Fails where results would go to a packed run.

        Args:
            out: Where they go; None for the run.

        Raises:
            RunError: That is so.
        """
        if self.packed and out is None:
            raise RunError(
                "Nothing is written to a packed run. Received: "
                f"{str(self.named)!r} without --out. Name a place with --out."
            )

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

    @property
    def data(self) -> FewLabels:
        """`FewLabels`, split and labelled as in training; where the images are not
        there, as much as the run keeps."""
        return self.images.all

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
        return self.images.class_names

    @property
    def labelled(self) -> LabelledImages:
        """The `LabelledImages` that it was trained with, as `RunData` has them."""
        return self.images.labelled

    @property
    def test(self) -> LabelledImages | None:
        """The `LabelledImages` to test on, or None where there are none."""
        return self.images.test

    @property
    def dataset(self) -> Dataset:
        """The `Dataset` that it was trained on, which knows its classes."""
        return self.images.dataset

    def embedder(self) -> ImageEmbedder:
        """The backbone with its preprocessing, an `ImageEmbedder`."""
        return ImageEmbedder(self.model.backbone, self.model.views, name="embedder")

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """What `metrics.json` holds."""
        return read_metrics(self.folder)

    def classifier(
        self,
        chosen: str | os.PathLike[str] | None = None,
        *,
        calibrated: bool = True,
    ) -> tuple[ImageClassifier, str]:
        """Images to class probabilities.

        The fine-tuned or distilled classifier where the run has one; otherwise that
        which is best by cross-validation on the labels. A run of an earlier version,
        which has not chosen any, has the linear probe: unlike the votes of the memory
        it gives calibrated probabilities.

        Args:
            chosen: Another one: its name, of those that `metrics.json` has, or the path
                of a `.keras` file; None for the run's.
            calibrated: Whether one that the labels have measured is as certain as they
                say that it is right.

        Returns:
            The `ImageClassifier` and what it is called.

        Raises:
            RunError: The run has none of this name, there is none at the path, or one
                of other classes or of images with other channels than the run's.
        """
        chosen = self._usual() if chosen is None else chosen
        if chosen in TITLES:
            named = self._named(str(chosen))
            temperature = self.temperature(chosen) if calibrated else None
            if temperature is not None:
                named = calibrated_classifier(named, temperature)
            return named, title(str(chosen), untrained=self.is_untrained)
        path = pathlib.Path(chosen)
        classifier = load_classifier(
            path, self.named, self.class_names, self.channels, trust=self.trust
        )
        return classifier, how_it_was_trained(path)

    def temperature(self, chosen: str | os.PathLike[str] | None) -> float | None:
        """By which a classifier is as certain as the labels say that it is right.

        Args:
            chosen: As for `classifier`.

        Returns:
            None for one that was not measured: what was fine-tuned or distilled, or
            has too few labels, or a run of an earlier version.
        """
        chosen = self._usual() if chosen is None else chosen
        found: float | None = self.metrics.get("classifier_temperatures", {}).get(
            str(chosen)
        )
        return found

    def tell_classifier(self, chosen: str | os.PathLike[str] | None) -> None:
        """Says which it is, and by how much it is the best, where that was measured.

        Args:
            chosen: As for `classifier`.
        """
        name = self.metrics.get("classifier")
        if name is None:
            return
        chosen = self._usual() if chosen is None else chosen
        by_labels = chosen_by(self.metrics)
        if chosen == name:
            tell(f"Classifier: {by_labels}")
            return
        what = str(chosen)
        own = self.metrics["classifier_cv_accuracies"].get(what)
        measured = "" if own is None else f", {own['mean']:.1%}"
        if what in TITLES:
            what = title(what, untrained=self.is_untrained)
        tell(f"Classifier: {what}{measured}. The labels would have chosen: {by_labels}")

    def _usual(self) -> str | pathlib.Path:
        """The name, or the path, of the classifier that is taken where none is named.

        What was fine-tuned or distilled out of the run was asked for.
        """
        path = self.folder / CLASSIFIER
        return path if path.exists() else self.metrics.get("classifier", "linear")

    def _named(self, name: str) -> ImageClassifier:
        """One of the classifiers that training leaves behind."""
        names = self.classifier_names
        if name not in names:
            raise RunError(
                f"--classifier must be one that {str(self.named)!r} has: "
                f"{', '.join(names)}, or a FILE. Received: {name}."
            )
        if name == "linear":
            return self.linear_classifier()
        if name == "pixels":
            return self._pixel_classifier()
        # Those of now would have to be propagated, or remembered, anew.
        self.images.use_of_labels = "the classifier knows those of the training"
        if name == "memory":
            return self._memory_classifier()
        if name in OF_THEIR_OWN:
            return load_classifier(
                network_path(self.folder, name),
                self.named,
                self.class_names,
                self.channels,
                trust=self.trust,
            )
        path = head_path(self.folder, name)
        embedder = self._embedder_of(name)
        backbone = embedder.backbone
        head = load_head(path, backbone, len(self.class_names), trust=self.trust)
        return ImageClassifier(
            backbone,
            head,
            embedder.views,
            class_names=self.class_names,
            name="classifier",
        )

    @property
    def is_trained(self) -> bool:
        """Whether its network is another than it was in the beginning."""
        return self.settings["epochs"] > 0 or goes_on(self.settings)

    @property
    def is_untrained(self) -> bool:
        """Whether its network is as it was made, at random."""
        return bool(self.metrics.get("untrained"))

    @property
    def classifier_names(self) -> list[str]:
        """Of those that it has, but for the fine-tuned or distilled one."""
        names = []
        for name in TITLES:
            if name == "linear":
                has = self.is_trained
            elif name == "memory":
                has = self.is_trained and isinstance(self.model, SemPPL)
            elif name == "pixels":
                has = True
            elif name in OF_THEIR_OWN:
                has = network_path(self.folder, name).is_file()
            else:
                has = head_path(self.folder, name).is_file()
            if has:
                names.append(name)
        return names

    @functools.cached_property
    def frozen(self) -> ImageEmbedder:
        """The backbone as it was before training, with its preprocessing.

        Raises:
            RunError: The file is none of this run.
        """
        path = self.folder / FROZEN
        if not path.exists() and not self.is_trained:
            return self.embedder()
        if not path.exists() and (self.folder / BACKBONE).exists():
            backbone = new_backbone(
                self.recipe, self.channels, self.folder, trust=self.trust
            )
            return ImageEmbedder(backbone, self.model.views, name="embedder")
        if not path.is_file():
            raise RunError(
                f"There must be the network before training at {self.named / FROZEN}. "
                "Received: none. Bring it back from a copy, or take another "
                "--classifier."
            )
        return load_model(path, ImageEmbedder, trust=self.trust)

    def _embedder_of(self, name: str) -> ImageEmbedder:
        """The network before the head of a classifier."""
        if name.startswith("frozen_"):
            return self.frozen
        if not name.startswith("tuned_"):
            return self.embedder()
        path = self.folder / TUNED
        if not path.is_file():
            raise RunError(
                f"There must be the fine-tuned network at {self.named / TUNED}. "
                "Received: none. Bring it back from a copy, or take another "
                "--classifier."
            )
        return load_model(path, ImageEmbedder, trust=self.trust)

    def _memory_classifier(self) -> ImageClassifier:
        if not isinstance(self.model, SemPPL):
            raise RunError(
                f"{str(self.named)!r} must hold a model with a memory. Received: "
                f"{type(self.model).__name__}, which has none. Take another "
                "--classifier."
            )
        return memory_classifier(self.model, self.class_names)

    def _pixel_classifier(self) -> ImageClassifier:
        images, labels, _ = self.labelled
        embedder = pixel_embedder(self.model.views, images.shape[1:])
        features = embedder.predict(images, verbose=0)
        probe = fit_pixel_probe(features, labels, self.settings["seed"])
        return linear_classifier(
            embedder.backbone,
            embedder.views,
            probe,
            len(self.class_names),
            self.class_names,
        )

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
