"""The images of a run: read where they are, or those that it keeps."""

import contextlib
import functools
import os
import pathlib
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from semppl_keras.checks import listed
from semppl_keras.data import Dataset, FewLabels, OwnDataset
from semppl_keras.data.choosing import TooFewLabels
from semppl_keras.data.images.image_list import ImageList
from semppl_keras.recipes import Recipe
from semppl_keras.runs.changed_labels import (
    labels_of,
    tell_changed_images,
    tell_changed_labels,
)
from semppl_keras.runs.decoded_before import decoded_before
from semppl_keras.runs.errors import MissingPictures, RunError
from semppl_keras.runs.folder import dataset_of, load_data, read_metrics, value_range_of
from semppl_keras.runs.found_files import FoundFiles, are_noted, find_files
from semppl_keras.runs.kept_images import (
    IMAGES,
    LABELLED,
    ROLES,
    TEST,
    KeptImages,
    read_kept,
)
from semppl_keras.runs.noted_files import with_own_tables
from semppl_keras.runs.picture_places import (
    check_is_folder,
    is_there,
    moved,
    root_of,
    short_name,
)
from semppl_keras.runs.run_images import LabelledImages, RunImages
from semppl_keras.runs.safety.own_runs import check_sources
from semppl_keras.runs.same_images import check_labelled, check_same
from semppl_keras.runs.telling import tell


class RunData:
    """What a run was trained and tested with.

    It is read where `run.json` says, or in another folder. What is not there, or may
    not be read, since the run is somebody else's, is taken from what the run keeps.

    Args:
        folder: Of the run.
        settings: What its `run.json` holds.
        recipe: Gives its `Recipe`.
        shape: Gives pixels of a side and channels, to which its images were brought.
        photos: Folder in which they are now, or None.
        trust: Whether they may be read where somebody else's run says.
        own: Whether it can be one that was written here.
        named: What the run is called in messages.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        settings: dict[str, Any],
        recipe: Callable[[], Recipe],
        shape: Callable[[], tuple[int, int]],
        *,
        photos: str | os.PathLike[str] | None,
        trust: bool,
        own: bool,
        named: pathlib.Path,
    ) -> None:
        self.folder, self.settings, self.named = folder, settings, named
        self.dataset = with_own_tables(dataset_of(settings), folder)
        # What of it is done with changed labels.
        self.use_of_labels = "those of now are used"
        self._recipe, self._shape = recipe, shape
        self._photos, self._trust, self._own = photos, trust, own
        self._told_changes = False
        self._told_roles: set[str] = set()

    @property
    def class_names(self) -> tuple[str, ...]:
        """One text for each class."""
        return tuple(self.settings.get("class_names") or self.all.class_names)

    @functools.cached_property
    def all(self) -> FewLabels:
        """`FewLabels`, split and labelled as in training; or as much as is kept."""
        try:
            return self.read(self.settings["labels_per_class"])
        except MissingPictures as missing:
            kept = self._kept_instead(missing, ROLES)
            return kept.data(self.dataset.name, self._known_classes())

    def read(self, labels_per_class: int | str) -> FewLabels:
        """All of them, none of which may be missing.

        Args:
            labels_per_class: As `load_data` takes it.

        Raises:
            MissingPictures: They are gone, or may not be read.
            RunError: They are others, or there are fewer labels.
        """
        dataset = self.followed()
        as_trained = labels_per_class == self.settings["labels_per_class"]
        if self._photos is not None and not as_trained:
            # Which tells whether they are those of the training.
            _ = self.all
        with self._missing_told(*dataset.sources):
            try:
                data = load_data(
                    dataset,
                    labels_per_class,
                    self.settings["seed"],
                    self._recipe(),
                    folder=self.folder,
                    value_range=value_range_of(self.settings),
                )
            except TooFewLabels as error:
                if as_trained:
                    raise
                # Nothing is missing: more is asked for than there ever was.
                raise RunError(str(error)) from error
        names = tuple(self.settings.get("class_names") or data.class_names)
        if names != data.class_names:
            raise RunError(
                f"The run in {str(self.named)!r} was trained with the classes "
                f"{listed(names)}. Received: {listed(data.class_names)}. Bring the "
                "labels back, or train again."
            )
        if as_trained:
            if self._photos is not None:
                self._check_same(data)
            self._tell_changes(data.y_labelled, names)
        digest = getattr(data, "digest", None)
        tell_changed_images(self.settings, digest, "those of now are used")
        return data

    def whole(
        self, labels_per_class: int | str, roles: Sequence[str] = (LABELLED, TEST)
    ) -> FewLabels:
        """The same, for measuring: those that the run keeps will do if they are all
        that it had of some kinds.

        Args:
            labels_per_class: As for `read`.
            roles: The kinds.

        Raises:
            MissingPictures: Others are needed.
        """
        try:
            return self.read(labels_per_class)
        except MissingPictures as missing:
            kept = self.kept
            if (
                labels_per_class != self.settings["labels_per_class"]
                or kept is None
                or not kept.has_all(roles)
            ):
                raise self._needed(missing, kept) from missing
        return self.all

    @functools.cached_property
    def labelled(self) -> LabelledImages:
        """The labelled ones.

        Of a person's own images these alone are read: there are few.

        Raises:
            RunError: They are no longer what they were.
        """
        if not self.dataset.in_parts:
            data = self.all
            return LabelledImages(
                data.x_labelled,
                data.y_labelled,
                [f"labelled image {index}" for index in range(len(data.x_labelled))],
            )
        try:
            with self._missing_told("labelled"):
                labelled = self._in_parts("labelled").labelled()
        except MissingPictures as missing:
            return self._kept_instead(missing, ("labelled",)).labelled()
        if self._photos is not None:
            kept = self.kept if self._has_kept() else None
            place, names = str(self._photos), self.class_names
            check_labelled(place, self.settings, names, labelled, kept)
        self._tell_changes(labelled.labels, self.class_names)
        return labelled

    @functools.cached_property
    def test(self) -> LabelledImages | None:
        """Those to test on, or None where there are none."""
        if not self.dataset.has_test:
            return None
        if self.dataset.in_parts:
            try:
                with self._missing_told("test"):
                    return self._in_parts("test").test()
            except MissingPictures as missing:
                return self._kept_instead(missing, ("test",)).test()
        data = self.all
        if data.x_test is None or data.y_test is None:
            return None
        names = [f"test image {index}" for index in range(len(data.x_test))]
        return LabelledImages(data.x_test, data.y_test, names)

    @functools.cached_property
    def kept(self) -> KeptImages | None:
        """What the run keeps, None of an earlier version."""
        return read_kept(self.folder, len(self._known_classes()))

    def _known_classes(self) -> tuple[str, ...]:
        return tuple(self.settings.get("class_names") or ())

    def followed(self) -> Dataset:
        """The data set, which may be read.

        Raises:
            RunError: It may not, or is not where a person says.
        """
        dataset = self.dataset
        if self._photos is not None:
            return self._moved
        self.check_sources()
        return dataset

    def check_sources(self, *, network: bool = False, kept: bool = False) -> None:
        """As the function does, for where its images are read now.

        Args:
            network: As the function has it.
            kept: Whether those are used that the run keeps.
        """
        check_sources(
            self.named,
            self.settings,
            photos=kept or self._photos is not None,
            network=network,
            trust=self._trust,
            own=self._own,
        )

    def decoded_before(self, images: ImageList) -> ImageList:
        """Images of any source, those of them with pixels that the run has decoded."""
        try:
            dataset = self.followed()
        except MissingPictures:
            # Nor is its cache taken for what its images are.
            return images
        return decoded_before(
            images, dataset, self.folder, self.settings, *self._shape()
        )

    @functools.cached_property
    def found(self) -> FoundFiles | None:
        """Its files in the folder that a person has named, where it has noted them; its
        tables go with this.

        Raises:
            RunError: They are not there.
        """
        own, photos = self.dataset, self._photos
        if photos is None or not isinstance(own, OwnDataset):
            return None
        check_is_folder(photos)
        if not are_noted(own, self.folder):
            return None
        place = pathlib.Path(tempfile.mkdtemp(prefix="semppl_"))
        weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        return find_files(own, self.folder, os.fsdecode(photos), place)

    def _called(self, name: str) -> str:
        """What the run calls an image, by its path of now."""
        if self.found is None:
            return short_name(name, root_of(self._moved))
        root = root_of(dataset_of(self.settings))
        return short_name(self.found.before.get(name, name), root)

    @functools.cached_property
    def _moved(self) -> Dataset:
        assert self._photos is not None
        if not self.dataset.sources:
            raise RunError(
                "--photos is for a run whose images are files. Received: "
                f"{str(self.named)!r}, trained on {self.dataset.name}. Leave it out."
            )
        if self.found is not None:
            return self.found.dataset
        self.check_sources()
        return moved(self.dataset, self._photos)

    def _in_parts(self, role: str) -> RunImages:
        dataset = self.followed()
        image_size, channels = self._shape()
        return RunImages(
            self.folder,
            self.named,
            self.settings,
            dataset,
            self.class_names,
            image_size,
            channels,
            photos=None if self._photos is None else os.fsdecode(self._photos),
        )

    @contextlib.contextmanager
    def _missing_told(self, *roles: str) -> Iterator[None]:
        """What the data set cannot read of these comes out of it as
        `MissingPictures`."""
        try:
            yield
        except RunError:
            raise
        except (OSError, ValueError) as error:
            if self._photos is not None:
                raise
            gone = [role for role in roles if not is_there(self.dataset, role)]
            missing = ", ".join(
                f"{self.dataset.sources[role]} ({role})" for role in gone
            )
            raise MissingPictures(
                f"The images of {str(self.named)!r} must be where it says. Received: "
                + (f"nothing at {missing}." if gone else f"{error}")
            ) from error

    def _has_kept(self) -> bool:
        return (self.folder / IMAGES).is_file()

    def _kept_instead(
        self, missing: MissingPictures, roles: Sequence[str]
    ) -> KeptImages:
        """What the run keeps in the place of what is missing, told once of each kind.

        Raises:
            MissingPictures: It keeps nothing, or a person has said where they are.
        """
        kept = None if self._photos is not None else self.kept
        if kept is None:
            raise self._needed(missing, None) from missing
        if not set(roles) & set(kept.parts):
            raise self._needed(missing, kept) from missing
        if not set(roles) <= self._told_roles:
            self._told_roles |= set(roles)
            tell(f"Note: {missing} What the run keeps is used: {kept.told(roles)}.")
        return kept

    def _needed(
        self, missing: MissingPictures, kept: KeptImages | None
    ) -> MissingPictures:
        """The error of what needs the images that are missing."""
        if self._photos is not None:
            return missing
        more = "" if kept is None else f" The run keeps {kept.told()}."
        cause = missing.__cause__
        if cause is not None and str(cause) not in str(missing):
            more += f" ({cause})"
        return MissingPictures(f"{missing}{more} If they are elsewhere: --photos DIR.")

    def _check_same(self, data: FewLabels) -> None:
        check_same(
            str(self._photos),
            self.settings,
            read_metrics(self.folder),
            data,
            self.kept if self._has_kept() else None,
            self._called,
        )

    def _tell_changes(self, labels: np.ndarray, class_names: Sequence[str]) -> None:
        """Says once that they are not those of the training."""
        if not self._told_changes:
            self._told_changes = tell_changed_labels(
                self.settings,
                labels_of(class_names, labels),
                "trained",
                self.use_of_labels,
            )
