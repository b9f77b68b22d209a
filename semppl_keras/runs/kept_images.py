"""Images that a finished run keeps: what later commands need where the others are gone.

`images.npz` holds the labelled images as the network saw them, from which classifiers
are made anew, and some of the others, for pages, students and measures.
"""

import dataclasses
import itertools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semppl_keras.data import FewLabels, OwnImages
from semppl_keras.data.image_arrays import UNKNOWN
from semppl_keras.runs.folder import dataset_of
from semppl_keras.runs.picture_places import is_plain_name, root_of, short_name
from semppl_keras.runs.run_images import LabelledImages
from semppl_keras.runs.safety.array_files import checked_part, read_arrays
from semppl_keras.runs.telling import tell
from semppl_keras.runs.whole_files import whole_file

IMAGES = "images.npz"

# What the names of images begin with that a run keeps, and that are no paths.
PREFIX = "kept:"

LABELLED, UNLABELLED, TEST = "labelled", "unlabelled", "test"
ROLES = (LABELLED, UNLABELLED, TEST)

# The most images of each kind, and the most bytes that they take before compression.
MOST_IMAGES = {LABELLED: 2**20, UNLABELLED: 400, TEST: 1000}
MOST_BYTES = {LABELLED: 2**28, UNLABELLED: 2**26, TEST: 2**26}
# What names and labels take beside them.
FREE_BYTES = 2**26


@dataclasses.dataclass(frozen=True, eq=False)
class KeptPart:
    """Images of one kind.

    Args:
        images: `(n, h, w, c)` in [0, 255].
        labels: `(n,)` integers, -1 where nobody knows.
        names: A text for each, no path that leads anywhere else.
        total: How many the run had.
    """

    images: np.ndarray
    labels: np.ndarray
    names: list[str]
    total: int

    @property
    def whole(self) -> bool:
        """Whether they are all that the run had."""
        return len(self.images) == self.total

    def told(self, kind: str) -> str:
        """How many there are, in words."""
        return f"{len(self.images):,} of {self.total:,} {kind} images"


@dataclasses.dataclass(frozen=True, eq=False)
class KeptImages:
    """What a run keeps of its images.

    Args:
        parts: By kind; unlabelled ones, and those to test on, are missing where the run
            had none.
    """

    parts: Mapping[str, KeptPart]

    def has_all(self, roles: Sequence[str]) -> bool:
        """Whether they are all that the run had of some kinds."""
        return all(part.whole for role, part in self.parts.items() if role in roles)

    def labelled(self) -> LabelledImages:
        """Those with labels, all of them unless there were very many."""
        part = self.parts[LABELLED]
        return LabelledImages(part.images, part.labels, _called(part))

    def test(self) -> LabelledImages | None:
        """Those to test on whose labels are known, or None."""
        part = self.parts.get(TEST)
        if part is None or part.labels.min() < 0:
            return None
        return LabelledImages(part.images, part.labels, _called(part))

    def data(self, name: str, class_names: Sequence[str]) -> OwnImages:
        """All of them as what a run is trained on.

        Args:
            name: Of the data set.
            class_names: One text for each class.
        """
        few, many = self.parts[LABELLED], self.parts.get(UNLABELLED)
        learned = [few] if many is None else [few, many]
        tested = self.parts.get(TEST)
        labels = None if tested is None or tested.labels.min() < 0 else tested.labels
        return OwnImages(
            x_train=np.concatenate([part.images for part in learned]),
            y_train=np.concatenate([part.labels for part in learned]),
            labelled_indices=np.arange(len(few.images)),
            x_test=None if tested is None else tested.images,
            y_test=labels,
            num_classes=len(class_names),
            class_names=tuple(class_names),
            name=name,
            remarks=(f"The images themselves are not there: {self.told()} are kept.",),
            train_names=tuple(name for part in learned for name in _called(part)),
            test_names=() if tested is None else tuple(_called(tested)),
        )

    def told(self, roles: Sequence[str] = ROLES) -> str:
        """How many there are, in words."""
        texts = [part.told(role) for role, part in self.parts.items() if role in roles]
        return ", ".join(texts[:-1]) + (" and " if texts[1:] else "") + texts[-1]


def keep_images(
    folder: pathlib.Path, settings: Mapping[str, Any], data: FewLabels
) -> None:
    """Writes `images.npz`, where the images of a run can be lost.

    Args:
        folder: Of the run.
        settings: What `run.json` holds.
        data: What it was trained on.
    """
    dataset = dataset_of(settings)
    if not dataset.sources:
        # They come with a package.
        return
    root = root_of(dataset)
    train_names = getattr(data, "train_names", ())
    test_names = getattr(data, "test_names", ())
    learned = {
        LABELLED: data.labelled_indices,
        UNLABELLED: data.unlabelled_indices,
    }
    parts = {
        role: (data.x_train, data.y_train, rows, train_names)
        for role, rows in learned.items()
        if len(rows)
    }
    if data.x_test is not None and len(data.x_test):
        unknown = np.full(len(data.x_test), UNKNOWN)
        labels = unknown if data.y_test is None else data.y_test
        rows = np.arange(len(data.x_test))
        parts[TEST] = (data.x_test, labels, rows, test_names)
    arrays: dict[str, np.ndarray] = {}
    for role, (images, labels, rows, names) in parts.items():
        most = min(MOST_IMAGES[role], MOST_BYTES[role] // max(1, images[0].nbytes))
        kept = _chosen(labels[rows], most, role, settings["seed"])
        if role == LABELLED and len(kept) < len(rows):
            tell(
                f"Note: the run keeps {len(kept):,} of its {len(rows):,} labelled "
                "images, for when the others are gone."
            )
        told = [
            _name(names[row], root) if names else f"{role} image {place}"
            for place, row in enumerate(rows)
        ]
        arrays |= {
            f"{role}_images": images[rows[kept]],
            f"{role}_labels": labels[rows[kept]].astype("int32"),
            f"{role}_names": _as_bytes([told[place] for place in kept]),
            f"{role}_total": np.array(len(rows)),
        }
    with whole_file(folder / IMAGES) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_kept(folder: pathlib.Path, num_classes: int) -> KeptImages | None:
    """What a run keeps of its images, None where it is of a version that kept none.

    Args:
        folder: Of the run, which may be somebody else's.
        num_classes: How many classes the run has.

    Raises:
        RunError: The file is damaged, or holds something else.
    """
    path = folder / IMAGES
    if not path.is_file():
        return None
    most = sum(MOST_BYTES.values()) + FREE_BYTES
    arrays = read_arrays(path, most, *_CHOICES)
    parts = {
        role: KeptPart(
            *checked_part(
                path,
                role,
                [arrays[name] for name in _ARRAYS[role]],
                num_classes,
                is_plain_name,
                every_class=role == LABELLED,
            )
        )
        for role in ROLES
        if f"{role}_images" in arrays
    }
    return KeptImages(parts)


def _called(part: KeptPart) -> list[str]:
    """Names that are no paths: by one like these there may be another image here."""
    return [f"{PREFIX}{name}" for name in part.names]


_OF_PART = ("images", "labels", "names", "total")
_ARRAYS = {role: tuple(f"{role}_{name}" for name in _OF_PART) for role in ROLES}
# The first of which there are all.
_CHOICES = [
    tuple(itertools.chain.from_iterable(_ARRAYS[role] for role in roles))
    for roles in (ROLES, (LABELLED, UNLABELLED), (LABELLED, TEST), (LABELLED,))
]


def _chosen(labels: np.ndarray, most: int, role: str, seed: int) -> np.ndarray:
    """Places of at most so many, sorted; of the labelled as many of each class."""
    count = len(labels)
    if count <= most:
        return np.arange(count)
    order = np.random.default_rng(seed).permutation(count)
    if role == LABELLED:
        seen: dict[int, int] = {}
        ranks = np.empty(count, "int64")
        for place in order:
            label = int(labels[place])
            ranks[place] = seen[label] = seen.get(label, -1) + 1
        order = order[np.argsort(ranks[order], kind="stable")]
    return np.sort(order[:most])


def _name(name: str, root: str | None) -> str:
    """What an image is called that is somewhere else by then."""
    short = short_name(name, root)
    return short if is_plain_name(short) else "an image"


def _as_bytes(names: Sequence[str]) -> np.ndarray:
    # Half of a character, which a file may be called by, is written, too.
    return np.frombuffer(json.dumps(names).encode("ascii"), "uint8")
