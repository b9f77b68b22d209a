"""The script beside an exported model: how it is asked about picture files."""

import pathlib
from typing import Any

from semppl_keras.data.images.value_ranges import ValueRanges

# Names of files and classes stand in it as literals alone.
_HEAD = '''"""Asks the model beside about picture files, read as for its training.

    python THIS_SCRIPT PICTURE ...

prints {prints}. Needs {needs}.
"""

import pathlib
import sys

import numpy as np
from PIL import Image

# As the pictures were read.
SIZE = {size}  # pixels of a side
CHANNELS = {channels}
FIT = {fit!r}  # {square}
# What became black and white of images of more than 8 bits, if there were any.
INTEGERS, FLOATS = {integers!r}, {floats!r}

MODEL = pathlib.Path(__file__).with_name({model!r})
'''

# How people are told that pictures become squares.
SQUARES = {
    "pad": "all of each picture, between bars",
    "crop": "the central square of each picture",
    "stretch": "all of each picture, out of shape",
}

# For each format: what it needs, and how it answers.
_ASKS = {
    "saved_model": (
        "TensorFlow",
        """    import tensorflow as tf

    serve = tf.saved_model.load(str(MODEL)).signatures["serving_default"]
    return lambda pictures: serve(images=tf.constant(pictures))[OUTPUT].numpy()
""",
    ),
    "keras": (
        "semppl_keras",
        """    from semppl_keras.runs.backend import choose_backend

    # Before Keras is imported, which otherwise asks for TensorFlow.
    choose_backend()

    import keras

    import semppl_keras  # noqa: F401, registers what the model is made of

    model = keras.models.load_model(MODEL)
    return lambda pictures: keras.ops.convert_to_numpy(model(pictures))
""",
    ),
    "onnx": (
        "onnxruntime",
        """    import onnxruntime

    cpu = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(MODEL, providers=cpu)
    return lambda pictures: session.run([OUTPUT], {"images": pictures})[0]
""",
    ),
    "litert": (
        "ai-edge-litert",
        """    from ai_edge_litert.interpreter import Interpreter

    serve = Interpreter(str(MODEL)).get_signature_runner("serving_default")
    return lambda pictures: serve(images=pictures)[OUTPUT]
""",
    ),
}

_ASK = '''

def load():
    """The model, as a function of pictures `(B, SIZE, SIZE, CHANNELS)`."""
{how}

def ask(files, answer=None):
    """{asks}, a row for each file."""
    how = (SIZE, CHANNELS, INTEGERS, FLOATS, FIT)
    pictures = np.stack([read_picture(file, *how) for file in files])
    return (answer or load())({given})


'''

_TELLING_CLASSES = """if __name__ == "__main__":
    answer = load()
    for file in sys.argv[1:]:
        (probabilities,) = ask([file], answer)
        best = int(probabilities.argmax())
        print(file, NAMES[best], f"{probabilities[best]:.1%}", sep="\\t")
"""

_TELLING_FEATURES = """if __name__ == "__main__":
    answer = load()
    for file in sys.argv[1:]:
        print(file, *ask([file], answer)[0], sep="\\t")
"""


def serving_script(
    model: Any,
    path: pathlib.Path,
    format: str,
    size: int,
    fit: str,
    value_ranges: ValueRanges,
) -> str:
    """The text of a script that asks an exported model about picture files.

    Args:
        model: `ImageClassifier` or `ImageEmbedder` of images with 1 or 3 channels.
        path: `pathlib.Path` of the model, beside which the script is to stand.
        format: one of `FORMATS`.
        size: int, pixels of a side to which pictures are brought.
        fit: how they become squares, as `data.read_image` takes it.
        value_ranges: `ValueRanges` of the images that it was trained on.

    Returns:
        str.
    """
    needs, how = _ASKS[format]
    classifies = hasattr(model, "head")
    output = "probabilities" if classifies else "features"
    low, high = model.views.value_range
    given = "pictures"
    if (low, high) != (0, 255):
        # Other models are not of uint8.
        given = f'{low} + pictures.astype("float32") * {(high - low) / 255!r}'
    head = _HEAD.format(
        model=path.name,
        prints="the most probable class of each and its probability"
        if classifies
        else "the features of each",
        needs=f"NumPy, Pillow and {needs}",
        size=size,
        fit=fit,
        square=SQUARES[fit],
        channels=model.backbone.input_shape[-1],
        integers=value_ranges.integers,
        floats=value_ranges.floats,
    )
    constants = f'OUTPUT = "{output}"\n'
    if classifies:
        names = model.class_names or range(model.num_classes)
        constants += f"NAMES = {[str(name) for name in names]!r}\n"
    asks = output.capitalize()
    telling = _TELLING_CLASSES if classifies else _TELLING_FEATURES
    return (
        head
        + constants
        + _reading()
        + _ASK.format(how=how, asks=asks, given=given)
        + telling
    )


def script_path(path: pathlib.Path) -> pathlib.Path:
    """Where the script of a model stands: `NAME.serve.py` beside the model NAME."""
    return path.with_name(f"{path.name}.serve.py")


def _reading() -> str:
    """The functions of `served_pictures`, whose imports the script has already."""
    source = pathlib.Path(__file__).with_name("served_pictures.py")
    _, _, functions = source.read_text(encoding="utf-8").partition(
        "from PIL import Image\n"
    )
    return functions
