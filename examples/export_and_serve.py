# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Export and serve
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/semppl-keras/semppl_keras/blob/main/examples/export_and_serve.ipynb)
#
# A classifier of images goes to a server, a phone or another program without this
# package, and there says what it said here. Preprocessing goes with it: uint8 images
# of any size in, probabilities and the names of the classes out; and beside it stands a
# script that reads picture files as the training did.
#
# TensorFlow writes SavedModel, ONNX and LiteRT, in a process of its own where JAX or
# torch trains. What this notebook needs is `pip install
# "semppl_keras[tensorflow,export,serve]"`; no data is downloaded.

# %%
# The package, where it is missing, as on Colab and Kaggle: Keras and the backends that
# are there stay. A machine without any backend gets TensorFlow.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("semppl_keras") is None:
    backends = map(importlib.util.find_spec, ("tensorflow", "jax", "torch"))
    extras = "export,serve" if any(backends) else "export,serve,tensorflow"
    address = "git+https://github.com/semppl-keras/semppl_keras"
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"semppl_keras[{extras}] @ {address}"], check=True)

# Without KERAS_BACKEND and without TensorFlow one of the others is taken.
from semppl_keras.runs.backend import choose_backend

choose_backend()

# %%
import keras
import numpy as np

import semppl_keras

print("trained by", keras.backend.backend())

# %% [markdown]
# ## A classifier
#
# A short training on scikit-learn's handwritten digits, 10 of each labelled, and a
# linear probe on the result. `linear_classifier` makes one Keras model of both; a
# `FineTuner` or a `Distiller` is exported in the same way.

# %%
SEED = 0
keras.utils.set_random_seed(SEED)
data = semppl_keras.data.load_digits(labels_per_class=10, seed=SEED).enlarged(16)
recipe = semppl_keras.recipes.get("digits", epochs=8)
steps = -(-len(data.x_unlabelled) // recipe.batch_size)
model = recipe.make_model(1, data.num_classes, steps_per_epoch=steps, seed=SEED)
model.fit(
    data.x_unlabelled,
    (data.x_labelled, data.y_labelled),
    epochs=recipe.epochs,
    batch_size=recipe.batch_size,
    labelled_batch_size=recipe.labelled_batch_size,
    verbose=2,
)

probe = semppl_keras.evaluation.linear_probe(
    model.embed(data.x_labelled), data.y_labelled, seed=SEED
)
classifier = semppl_keras.export.linear_classifier(
    model.backbone,
    model.views,
    probe,
    data.num_classes,
    class_names=[f"digit {name}" for name in data.class_names],
)
right = classifier.predict(data.x_test, verbose=0).argmax(axis=1) == data.y_test
print(f"accuracy on {len(right)} test images: {right.mean():.1%}")

# %% [markdown]
# ## Four files
#
# `semppl export RUN --format onnx` does the same with a run that `semppl train` has
# written.

# %%
import pathlib
import tempfile

served = pathlib.Path(tempfile.mkdtemp(prefix="served_", dir="."))
for format, ending in semppl_keras.export.FORMATS.items():
    semppl_keras.export.export_model(
        classifier, served / f"digits{ending}", format=format
    )


def kilobytes(path):
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file()) / 1000


for path in sorted(served.iterdir()):
    print(f"{path.name:<26}{kilobytes(path):8,.0f} kB")

# %% [markdown]
# ## What is asked of them
#
# Digits as they come from a scanner: uint8, here ten of 40 x 28 pixels where the
# network was trained on 16 x 16; then a single one of another size. What is expected is
# what the classifier says here.

# %%
import matplotlib.pyplot as plt
from PIL import Image


def scanned(images, height, width):
    """Digits as uint8, in the middle of a larger black image."""
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    scans = np.zeros((len(images), height, width, 1), "uint8")
    for scan, image in zip(scans, images.astype("uint8"), strict=True):
        resized = Image.fromarray(image[..., 0]).resize((side, side))
        scan[top : top + side, left : left + side, 0] = np.asarray(resized)
    return scans


one_of_each = [np.flatnonzero(data.y_test == digit)[0] for digit in range(10)]
batches = [
    scanned(data.x_test[one_of_each], 40, 28),
    scanned(data.x_test[:1], 64, 64),
]


def asked(model):
    return [keras.ops.convert_to_numpy(model(images)) for images in batches]


expected = asked(classifier)

figure, row = plt.subplots(1, 10, figsize=(9, 1.9))
for axes, image, probabilities in zip(row, batches[0], expected[0], strict=True):
    axes.imshow(image[..., 0], cmap="gray")
    best = probabilities.argmax()
    axes.set_title(f"{classifier.class_names[best]}\n{probabilities[best]:.0%}", size=9)
    axes.axis("off")

# %% [markdown]
# ## Keras
#
# With this package imported, an ordinary `keras.models.load_model`, on any backend.

# %%
answers = {}
loaded = keras.models.load_model(served / "digits.keras")
answers["Keras"] = asked(loaded)
print(loaded.class_names)

# %% [markdown]
# ## Plain TensorFlow
#
# In a process that knows neither Keras 3 nor this package, as a server does. TensorFlow
# Serving takes the folder as it is.

# %%
import subprocess
import sys

program = """
import sys
import numpy as np
import tensorflow as tf

saved_model, images, answers = sys.argv[1:]
serve = tf.saved_model.load(saved_model).signatures["serving_default"]
with np.load(images) as batches:
    outputs = {name: serve(images=tf.constant(batches[name])) for name in batches}
print([label.decode() for label in outputs["arr_0"]["label"].numpy()])
np.savez(answers, **{name: o["probabilities"] for name, o in outputs.items()})
assert "semppl_keras" not in sys.modules
"""
np.savez(served / "batches.npz", *batches)
arguments = [served / "digits", served / "batches.npz", served / "answers.npz"]
done = subprocess.run(
    [sys.executable, "-c", program, *arguments], capture_output=True, text=True
)
print(done.stdout or done.stderr)
done.check_returncode()
with np.load(served / "answers.npz") as archive:
    answers["TensorFlow"] = [archive["arr_0"], archive["arr_1"]]

# %% [markdown]
# ## ONNX, by onnxruntime
#
# The names of the classes are in the file's metadata, and in `digits.onnx.labels.txt`
# beside it.

# %%
import json

import onnxruntime

session = onnxruntime.InferenceSession(
    served / "digits.onnx", providers=["CPUExecutionProvider"]
)
(image,) = session.get_inputs()
print("takes", image.name, image.type, image.shape)
names = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])
answers["ONNX"] = [
    session.run(["probabilities"], {"images": images})[0] for images in batches
]
print([names[best] for best in answers["ONNX"][0].argmax(axis=1)])

# %% [markdown]
# ## LiteRT, formerly TensorFlow Lite
#
# Here on a processor, with the same file on phones and small boards. The names of the
# classes are an associated file, which `zipfile` takes out of the model file.

# %%
import zipfile

from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(str(served / "digits.tflite"))
serve = interpreter.get_signature_runner("serving_default")
answers["LiteRT"] = [serve(images=images)["probabilities"] for images in batches]
with zipfile.ZipFile(served / "digits.tflite") as archive:
    names = archive.read("labels.txt").decode().splitlines()
print([names[best] for best in answers["LiteRT"][0].argmax(axis=1)])

# %% [markdown]
# ## Picture files
#
# `Image.open(file).convert("RGB")` leaves photographs lying on their side, shows what
# is under the transparent parts of a drawing and cuts 16 bits off: not what the
# network was trained on. The script beside each file has a `read_picture` that does
# what training does, with NumPy and Pillow alone, and is a command, too. To have it in
# a server, copy it from there. Here a digit with a transparent ground, drawn in black
# as a person would, and inverted into what the network knows.

# %%
import runpy

digit = data.x_test[one_of_each[3]].astype("uint8")[..., 0]
drawing = np.zeros((16, 16, 2), "uint8")
drawing[..., 1] = digit
picture = served / "three.png"
Image.fromarray(drawing).save(picture)

serve = runpy.run_path(str(served / "digits.onnx.serve.py"))
read = serve["read_picture"](picture, size=16, channels=1)
(probabilities,) = serve["load"]()(255 - read[None])
print("the drawing is", classifier.class_names[probabilities.argmax()])

# %% [markdown]
# ## The same numbers
#
# The largest difference of any probability from what the classifier says here.

# %%
differences = {
    how: max(
        float(np.abs(given - wanted).max())
        for given, wanted in zip(answer, expected, strict=True)
    )
    for how, answer in answers.items()
}
for how, difference in differences.items():
    print(f"{how:<12}{difference:.1e}")
print("largest difference:", max(differences.values()))
