"""Models in the formats in which they are served."""

import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import keras

from semppl_keras.checks import check_integers
from semppl_keras.data.defaults import FIT
from semppl_keras.data.images.geometry import check_fit
from semppl_keras.data.images.value_ranges import ValueRanges, as_ranges
from semppl_keras.export.formats import FORMATS
from semppl_keras.export.serving_script import script_path, serving_script
from semppl_keras.networks import ImageClassifier, ImageEmbedder
from semppl_keras.pretraining import Pretraining

# Picture files are read as grey or as RGB.
_PICTURE_CHANNELS = (1, 3)


def export_model(
    model: Any,
    path: str | os.PathLike[str],
    format: str = "saved_model",
    *,
    image_size: int | None = None,
    fit: str = FIT,
    value_range: tuple[float, float] | ValueRanges | None = None,
) -> pathlib.Path:
    """Writes a model so that images as they are go in: uint8, of any size.

    What is written does what the model's `call` does, preprocessing (a square, as the
    views' `fit` makes it, at the size of the network's views) included. A batch
    `(B, h, w, C)` holds images of one size, any size; another batch may have another
    one. Out come `probabilities` `(B, num_classes)`, or of a network without a
    classifier `features` `(B, F)`, float32.

    The names of the classes, where the classifier has `class_names`, are in a text file
    `NAME.labels.txt` beside the file NAME, one a line in the order of the columns (a
    SavedModel has `assets/labels.txt` in its folder), and within the model:

    - "saved_model": beside the probabilities `label` `(B,)`, the name of the most
      probable class; a second signature `class_names`, without arguments, gives all.
    - "keras": `class_names` of the model, `keras.models.load_model` with semppl_keras
      imported.
    - "onnx": the metadata entry `class_names`, a JSON list.
    - "litert": the associated file `labels.txt`, which `unzip` or `zipfile` takes
      out of the model file.

    Picture files are to be read as they were for training: upright, transparent parts
    on white, deep greys scaled alike, which `Image.open(file).convert("RGB")` does not
    do. A script `NAME.serve.py` beside the model does, with NumPy and Pillow alone, and
    asks the model: `python NAME.serve.py PICTURE ...`, or its `ask(files)`. (Images
    with other channels than grey or RGB are no picture files; there it is left out.)

    All but "keras" are written by TensorFlow, whichever backend runs here: on JAX and
    torch by a process of its own.

    Args:
        model: `ImageClassifier`, or what trained one (`FineTuner`, `Distiller`);
            `ImageEmbedder`, or a pre-training model, whose backbone is written.
        path: what to write; see `FORMATS` for how it has to end. There must be
            nothing yet.
        format: one of `FORMATS`.
        image_size: int, pixels of a side to which the script brings pictures: those
            that the images of the training had. None for the views' large size.
        fit: how the script makes squares of pictures, as `data.read_image` takes it: as
            the images of the training became some.
        value_range: pair of numbers (lowest, highest), the values of images of more
            than 8 bits that training took for black and white, or the `ValueRanges` of
            its data set; None for all of 16 bits and, of floats, [0, 1] or [0, 255].

    Returns:
        `pathlib.Path` of what was written.

    Raises:
        TypeError: if the model is none of these.
        ValueError: for another format, or a path that does not fit.
        FileExistsError: if there is something already.
        ImportError: if a package is missing that writes this format.
        RuntimeError: if TensorFlow cannot write this network.

    Example:
        >>> export_model(tuner, "served/classifier.onnx", format="onnx")
    """
    served = _servable(model)
    path = pathlib.Path(path)
    _check_path(path, format)
    beside = _texts_beside(served, path, format, image_size, fit, value_range)
    for text in beside:
        if text.exists():
            raise FileExistsError(f"{text} exists already. Choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    # What is there is there whole.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export_") as folder:
        written = pathlib.Path(folder) / f"written{FORMATS[format]}"
        if format == "keras":
            served.save(written)
        elif keras.backend.backend() == "tensorflow":
            from semppl_keras.export import tensorflow_formats

            tensorflow_formats.write(served, written, format)
        else:
            _write_elsewhere(served, written, format)
        os.replace(written, path)
    for text, content in beside.items():
        text.write_text(content, encoding="utf-8")
    return path


def _texts_beside(
    served: Any,
    path: pathlib.Path,
    format: str,
    image_size: int | None,
    fit: str,
    value_range: tuple[float, float] | ValueRanges | None,
) -> dict[pathlib.Path, str]:
    """What stands beside a model: dict of path to text."""
    if image_size is not None:
        check_integers(1, image_size=image_size)
    check_fit(fit)
    ranges = ValueRanges() if value_range is None else as_ranges(value_range)
    texts = {}
    names = getattr(served, "class_names", None)
    if format != "saved_model" and names:
        labels = path.with_name(f"{path.name}.labels.txt")
        texts[labels] = "".join(f"{name}\n" for name in names)
    if served.backbone.input_shape[-1] in _PICTURE_CHANNELS:
        size = served.views.large_size if image_size is None else image_size
        texts[script_path(path)] = serving_script(
            served, path, format, int(size), fit, ranges
        )
    return texts


def _servable(model: Any) -> ImageClassifier | ImageEmbedder:
    classifier = getattr(model, "classifier", model)
    if isinstance(classifier, ImageClassifier | ImageEmbedder):
        return classifier
    if isinstance(model, Pretraining):
        return ImageEmbedder(model.backbone, model.views, name="embedder")
    raise TypeError(
        "`model` must be an ImageClassifier, a FineTuner, a Distiller, an "
        f"ImageEmbedder or a pre-training model. Received: {type(model).__name__}."
    )


def _check_path(path: pathlib.Path, format: str) -> None:
    if format not in FORMATS:
        raise ValueError(
            f"`format` must be one of {', '.join(FORMATS)}. Received: {format!r}."
        )
    if not path.name.endswith(FORMATS[format]):
        raise ValueError(
            f"The name of a model of format {format} must end in {FORMATS[format]}. "
            f"Received: {str(path)!r}."
        )
    if path.exists():
        raise FileExistsError(f"{path} exists already. Choose another name.")


def _write_elsewhere(model: Any, path: pathlib.Path, format: str) -> None:
    """Lets a process with TensorFlow write what is to be written."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "model.keras"
        model.save(source)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "semppl_keras.export.tensorflow_formats",
                *(str(source), str(path), format),
            ],
            env={
                **os.environ,
                "KERAS_BACKEND": "tensorflow",
                # A child of a program that runs from its own folder finds the package.
                "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
            },
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        kind = ImportError if "ImportError: " in last else RuntimeError
        raise kind(
            f"A model of format {format} is written by TensorFlow, in a process of its "
            f"own, which failed: {last.removeprefix('ImportError: ')}"
        )
