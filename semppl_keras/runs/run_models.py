"""The models of a run folder: its network and its classifiers, checked."""

import pathlib
from collections.abc import Mapping, Sequence

import keras

from semppl_keras.networks import ImageClassifier
from semppl_keras.pretraining import Pretraining
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.safety.json_files import read_json
from semppl_keras.runs.safety.loading import load_model
from semppl_keras.runs.whole_files import save_model

CLASSIFIER = "classifier.keras"

# The network as it was before training, and fine-tuned on propagated labels, each with
# its views.
FROZEN, TUNED = "frozen.keras", "tuned.keras"
# That of the run which is gone on from, until the new one has its own.
EARLIER = "earlier.keras"
# Classifiers with a network of their own, a file each.
COMBINED, PATCHES = "combined", "patches"
TRAINED_AT_THE_END = ("student", "consistency")
OF_THEIR_OWN = (COMBINED, *TRAINED_AT_THE_END, PATCHES)
# What classifiers have beside their network, a small file each.
_HEADS = "heads"


def save_heads(folder: pathlib.Path, heads: Mapping[str, keras.Model | None]) -> None:
    """Keeps the heads of classifiers, by the name of each."""
    for name, head in heads.items():
        if head is not None:
            save_model(head, head_path(folder, name))


def network_path(folder: pathlib.Path, name: str) -> pathlib.Path:
    """Where a classifier with a network of its own is."""
    return folder / f"{name}.keras"


def head_path(folder: pathlib.Path, name: str) -> pathlib.Path:
    """Where the head of a classifier is."""
    return folder / _HEADS / f"{name}.keras"


def load_head(
    path: pathlib.Path, backbone: keras.Model, num_classes: int, *, trust: bool = False
) -> keras.Model:
    """The head of a classifier.

    Args:
        path: Of its `.keras` file.
        backbone: The network that it is for.
        num_classes: Of the run.
        trust: As for `load_model`.

    Raises:
        RunError: It is for other features, or of other classes.
    """
    head = load_model(path, trust=trust)
    width, expected = backbone.output_shape[-1], (None, num_classes)
    received = tuple(head.input_shape), tuple(head.output_shape)
    if received != ((None, width), expected):
        raise RunError(
            f"{str(path)!r} must take features (None, {width}) to logits {expected}. "
            f"Received: a model from {received[0]} to {received[1]}. Bring it back "
            "from a copy, or train again."
        )
    return head


def check_model(
    path: pathlib.Path, model: Pretraining, class_names: Sequence[str] | None = None
) -> None:
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


def load_classifier(
    path: pathlib.Path,
    folder: pathlib.Path,
    class_names: Sequence[str],
    channels: int,
    *,
    trust: bool = False,
) -> ImageClassifier:
    """A classifier that was made out of a run.

    Args:
        path: Of its `.keras` file.
        folder: Of the run, or what it is packed in, for messages.
        class_names: Those of the run.
        channels: Of the run's images.
        trust: As for `load_model`.

    Raises:
        RunError: There is none at `path`, or one of other classes or of images with
            other channels than the run's.
    """
    if not path.is_file():
        raise RunError(f"There must be a classifier at {path}. Received: none.")
    classifier = load_model(path, trust=trust)
    if not isinstance(classifier, ImageClassifier):
        raise RunError(
            f"{str(path)!r} must be a classifier that semppl finetune or semppl "
            f"distil has written. Received: {type(classifier).__name__}."
        )
    # Columns are named by the run: of other classes all names would be wrong.
    expected = [str(name) for name in class_names]
    if classifier.class_names is None:
        same = classifier.num_classes == len(expected)
        received = [f"{classifier.num_classes} without names"]
    else:
        received = list(classifier.class_names)
        same = received == expected
    if not same:
        raise RunError(
            f"{str(path)!r} must be a classifier of the {len(expected)} classes of "
            f"{str(folder)!r}, in their order: {', '.join(expected)}. "
            f"Received: {', '.join(received)}. Name the run that it belongs to, or "
            "another classifier."
        )
    received_channels = classifier.backbone.input_shape[-1]
    if received_channels != channels:
        raise RunError(
            f"{str(path)!r} must take images with {channels} channel(s), as "
            f"{str(folder)!r} does. Received: one for {received_channels}. Name the "
            "run that it belongs to, or another classifier."
        )
    return classifier


def how_it_was_trained(path: pathlib.Path) -> str:
    """What the note beside a classifier says, such as "fine-tuned".

    Raises:
        RunError: The note is damaged.
    """
    note = path.with_suffix(".json")
    if not note.is_file():
        return path.stem
    advice = "Remove it, or run semppl finetune or semppl distil again."
    return str(read_json(note, advice=advice).get("how", path.stem))


def doubted_features(path: pathlib.Path) -> str | None:
    """What the features are called that a classifier which doubts was fitted to.

    Args:
        path: Of a classifier that `semppl check --doubt` has written.

    Returns:
        As the `how` of the classifier that has them; None where that is not known.
    """
    note = path.with_suffix(".json")
    settings = read_json(note).get("settings") if note.is_file() else None
    found = settings.get("features") if isinstance(settings, dict) else None
    return found if isinstance(found, str) else None
