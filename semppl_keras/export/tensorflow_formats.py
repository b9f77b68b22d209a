"""SavedModel, ONNX and LiteRT: the formats that TensorFlow writes.

    KERAS_BACKEND=tensorflow python -m semppl_keras.export.tensorflow_formats \\
        MODEL.keras TARGET FORMAT

is how `export_model` has it done where another backend runs.
"""

import importlib
import json
import pathlib
import sys
import tempfile
import zipfile
from typing import Any

import keras
import tensorflow as tf

# The newest that tf2onnx knows all of.
_OPSET = 18


def write(model: Any, path: pathlib.Path, format: str) -> None:
    """Writes a model that runs on TensorFlow.

    Args:
        model: `ImageClassifier` or `ImageEmbedder`.
        path: `pathlib.Path` of what to write.
        format: "saved_model", "onnx" or "litert".

    Raises:
        ImportError: a package is missing.
        RuntimeError: TensorFlow, or tf2onnx, cannot write this network.
    """
    if format == "onnx":
        try:
            importlib.import_module("tf2onnx")
        except ImportError as error:
            raise ImportError(
                "An ONNX file needs the packages tf2onnx and onnx. Received: an "
                f"installation without one of them ({error}). Install them with pip "
                "install 'semppl_keras[export]'."
            ) from error
    writers = {
        "saved_model": _write_saved_model,
        "onnx": _write_onnx,
        "litert": _write_litert,
    }
    try:
        writers[format](model, path)
    # Each of the converters has errors of its own kind.
    except Exception as error:
        message = " ".join(str(error).split())[:500]
        raise RuntimeError(
            f"The network cannot be written as {format}: {type(error).__name__}: "
            f"{message}"
        ) from error


class _Served(tf.Module):
    """A network as one function of images, with all that it needs.

    Args:
        model: `ImageClassifier` or `ImageEmbedder`.
        names: whether to serve the names of the classes, too.
        labels: path of a file with them, which is to be an asset, or None.
    """

    def __init__(
        self, model: Any, names: bool = False, labels: pathlib.Path | None = None
    ) -> None:
        super().__init__()
        # As plain variables: a SavedModel with a Keras model in it also has what
        # trained it.
        self.weights = [variable.value for variable in model.variables]
        self.labels = None if labels is None else tf.saved_model.Asset(str(labels))
        output = "features" if not hasattr(model, "head") else "probabilities"
        # Images in another range than uint8's come as floats.
        eight_bit = tuple(model.views.value_range) == (0, 255)
        self.spec = tf.TensorSpec(
            (None, None, None, model.backbone.input_shape[-1]),
            tf.uint8 if eight_bit else tf.float32,
            name="images",
        )

        @tf.function(input_signature=[self.spec])
        def serve(images: Any) -> dict[str, Any]:
            values = model(images, training=False)
            if not names:
                return {output: values}
            best = tf.argmax(values, axis=-1)
            return {output: values, "label": tf.gather(self.names(), best)}

        @tf.function(input_signature=[])
        def class_names() -> dict[str, Any]:
            return {"class_names": self.names()}

        self.names = lambda: tf.constant(model.class_names)
        self.serve = serve
        self.class_names = class_names if names else None


def _write_saved_model(model: Any, path: pathlib.Path, names: bool = True) -> None:
    names = names and bool(getattr(model, "class_names", None))
    with tempfile.TemporaryDirectory() as folder:
        labels = None
        if names:
            labels = pathlib.Path(folder) / "labels.txt"
            text = "".join(f"{name}\n" for name in model.class_names)
            labels.write_text(text, encoding="utf-8")
        served = _Served(model, names=names, labels=labels)
        signatures = {"serving_default": served.serve}
        if names:
            signatures["class_names"] = served.class_names
        tf.saved_model.save(served, str(path), signatures=signatures)


def _write_onnx(model: Any, path: pathlib.Path) -> None:
    import onnx
    import tf2onnx

    served = _Served(model)
    converted, _ = tf2onnx.convert.from_function(
        served.serve, [served.spec], opset=_OPSET
    )
    # What the sizes are called where someone looks at the file.
    dimensions = converted.graph.input[0].type.tensor_type.shape.dim
    for dimension, name in zip(dimensions, ("batch", "height", "width"), strict=False):
        dimension.dim_param = name
    converted.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    if getattr(model, "class_names", None):
        entry = converted.metadata_props.add()
        entry.key, entry.value = "class_names", json.dumps(model.class_names)
    onnx.checker.check_model(converted)
    onnx.save(converted, str(path))


def _write_litert(model: Any, path: pathlib.Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _write_saved_model(model, pathlib.Path(folder), names=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        path.write_bytes(converter.convert())
    if getattr(model, "class_names", None):
        # An associated file of TFLite's: an archive behind the model, whose reader
        # stops before it.
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(
                "labels.txt", "".join(f"{name}\n" for name in model.class_names)
            )


if __name__ == "__main__":
    # Registers what the model is made of.
    import semppl_keras  # noqa: F401

    _source, _target, _format = sys.argv[1:]
    write(
        keras.models.load_model(_source, compile=False), pathlib.Path(_target), _format
    )
