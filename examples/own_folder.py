# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own folder of photographs
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/semppl-keras/semppl_keras/blob/main/examples/own_folder.ipynb)
#
# From a folder of images, a few of them labelled in a table, to labels for the rest and
# a classifier that can be served. Each step is a call of `semppl_keras.runs`, and the
# command that does the same stands beside it. Nothing is downloaded, and no file of
# yours is changed.
#
# `PHOTOS` is the folder; `LABELS` a CSV of `path,label`, paths relative to it, or a
# folder with a subfolder for each class; `TEST` the same of images to measure on, if
# you have any. Without `PHOTOS` the notebook writes a folder of its own to try it on.
#
# The outputs that are kept here are of 400 pictures from Debian's package
# `openclipart-png`, which are in the public domain: animals, flags, food and transport,
# 10 labels of each class, 120 other pictures to test on, 48 pixels, 30 epochs. With so
# few pictures, and a network that starts from nothing, many guesses are wrong.

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
import os

# Write yours in the place of what is asked of the environment, or set it there.
PHOTOS = os.environ.get("SEMPPL_PHOTOS")
LABELS = os.environ.get("SEMPPL_LABELS")
TEST = os.environ.get("SEMPPL_TEST")
# As LABELS, of all pictures: what a person would answer who looks at them.
ANSWERS = os.environ.get("SEMPPL_ANSWERS")
# None: that of the labelled images, at most 96.
IMAGE_SIZE = int(os.environ.get("SEMPPL_IMAGE_SIZE", 0)) or None
# None: some 3,000 steps, of images above 64 pixels, with a trained network, 80.
EPOCHS = int(os.environ.get("SEMPPL_EPOCHS", 0)) or None

# %% [markdown]
# Without `PHOTOS`: scikit-learn's handwritten digits as PNG files, 1,397 photographs,
# of which 40 are labelled, and 400 more to test on. One file is broken, as in any real
# folder.

# %%
import csv
import pathlib
import tempfile

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

# All that is written here goes into a new folder beside the notebook.
WORK = pathlib.Path(tempfile.mkdtemp(prefix="own_folder_", dir="."))


def write_table(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        # Paths in a table are relative to its folder.
        writer.writerows((os.path.relpath(p, path.parent), label) for p, label in rows)
    return path


def read_table(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {str(pathlib.Path(path).parent / row["path"]): row["label"] for row in rows}


TRUTH = {} if ANSWERS is None else read_table(ANSWERS)
if PHOTOS is None:
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    for number, index in enumerate(order):
        folder = WORK / ("photos" if number < 1397 else "held_out")
        folder.mkdir(exist_ok=True)
        pixels = (digits.images[index] * (255 / 16)).astype("uint8")
        path = folder / f"scan_{number:04}.png"
        Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC).save(path)
        TRUTH[str(path)] = str(digits.target[index])
    photos = [path for path in TRUTH if "photos" in path]
    few = [
        path
        for digit in "0123456789"
        for path in [path for path in photos if TRUTH[path] == digit][:4]
    ]
    (WORK / "photos" / "scan_9999.png").write_bytes(b"\x89PNG\r\n, cut off")
    PHOTOS = WORK / "photos"
    LABELS = write_table(WORK / "labels.csv", [(path, TRUTH[path]) for path in few])
    held_out = [(path, TRUTH[path]) for path in TRUTH if path not in photos]
    TEST = write_table(WORK / "test.csv", held_out)
    IMAGE_SIZE, EPOCHS = 16, 25

print("photographs in", PHOTOS, "and labels in", LABELS)

# %% [markdown]
# ## Reading
#
# Every image becomes a square, between bars where it is none. What cannot be read is
# left out and named; what is worth knowing about the labels is told: leakage,
# imbalance, classes with a single label.

# %%
import semppl_keras

data = semppl_keras.data.load_own_images(PHOTOS, LABELS, TEST, image_size=IMAGE_SIZE)
size, channels = data.x_train.shape[-2:]
print(len(data.x_unlabelled), "unlabelled,", len(data.x_labelled), "labelled images of")
print(f"{size} x {size} pixels, {data.num_classes} classes:", *data.class_names)
for remark in data.remarks:
    print("Note:", remark)
for skipped in data.skipped:
    print(f"Left out: {os.path.basename(skipped.name)}: {skipped.reason}")

# A table of the notebook's own, to which labels come further down.
labelled = [
    (data.train_names[index], data.class_names[data.y_train[index]])
    for index in data.labelled_indices
]
ALL_LABELS = write_table(WORK / "all_labels.csv", labelled)

# %% [markdown]
# ## What training would see
#
# Look whether the random views still show what the label says.
#
#     semppl views PHOTOS

# %%
import matplotlib.pyplot as plt

from semppl_keras import runs


def show(axes, image, title=None):
    axes.imshow(np.squeeze(np.clip(image, 0, 1)), cmap="gray", vmin=0, vmax=1)
    axes.set_title(title, size=8)
    axes.axis("off")


picture = runs.views(PHOTOS, image_size=size, out=WORK / "views.png")
figure, axes = plt.subplots(figsize=(8, 6))
show(axes, plt.imread(picture))

# %% [markdown]
# ## Training
#
# SemPPL ([arXiv 2301.05158](https://arxiv.org/abs/2301.05158)) learns from all images;
# the labelled ones vote for the labels of the others while it learns. The table that it
# ends with has the accuracies, and what the same labels are worth without the other
# images; the folder `RUN` has the model, curves and pictures.
#
#     semppl train --unlabelled PHOTOS --labelled LABELS --test TEST --out RUN

# %%
RUN = WORK / "run"
run = runs.train(
    unlabelled=PHOTOS,
    labelled=ALL_LABELS,
    test=TEST,
    image_size=size,
    epochs=EPOCHS,
    out=RUN,
)
accuracies = {}
if data.x_test is not None:
    accuracies["labels alone"] = run["supervised_accuracy"]
    accuracies["linear probe"] = run["linear_accuracy"]
print(run)

# %% [markdown]
# ## Labels for the rest
#
# The classifier that is best by cross-validation on the labels gives each photograph
# probabilities.
#
#     semppl label RUN PHOTOS --out guessed.csv --review 50

# %%
labels = runs.label(RUN, PHOTOS, out=WORK / "guessed.csv", review=50)
print("".join((WORK / "guessed.csv").read_text(encoding="utf-8").splitlines(True)[:6]))

unknown = np.array([index for index, given in enumerate(labels.given) if not given])
order = unknown[np.argsort(labels.confidences[unknown])]
guesses = [labels.class_names[best] for best in labels.predicted]
figure, rows = plt.subplots(2, 10, figsize=(10, 2.6))
for row, chosen in zip(rows, (order[::-1][:10], order[:10]), strict=True):
    for axes, index in zip(row, chosen, strict=False):
        title = f"{guesses[index]}, {labels.confidences[index]:.0%}"
        show(axes, labels.images[index] / 255, title)
_ = figure.suptitle("The most and the least certain")

# %% [markdown]
# ## Looking through some
#
# The page `guessed.review.html` has the 50 photographs whose labels would teach most:
# typical ones of what no label is like. Open it in a browser, choose what each image
# shows, and save the table `guessed.review_labels.csv` into the folder where the page
# is. Here the truth of the digits, or the table `ANSWERS`, takes the place of whoever
# looks.

# %%
reviewed = WORK / "guessed.review_labels.csv"
if TRUTH:
    chosen = [(labels.names[index], guesses[index]) for index in labels.review]
    write_table(reviewed, [(path, TRUTH[path]) for path, _ in chosen])
    right = sum(guess == TRUTH[path] for path, guess in chosen)
    print(f"of these {len(chosen)} the guess is right in {right}")
print("to look through:", WORK / "guessed.review.html")

# %% [markdown]
# ## All labels together
#
# Those at hand and those of the page: from now on the run is used with all of them, and
# the whole network is fine-tuned on them, the second step of SimCLRv2
# ([arXiv 2006.10029](https://arxiv.org/abs/2006.10029)). Fine-tuning pays from some
# hundred labels on: with fewer than 200 the run's own classifier is served here. (Not
# whichever does better on the test images: they would no longer measure anything.)
#
#     semppl finetune RUN --out TUNED

# %%
if reviewed.exists():
    labelled += read_table(reviewed).items()
    write_table(ALL_LABELS, labelled)
print(len(data.x_labelled), "labels before,", len(labelled), "now")

tuned = runs.finetune(RUN, out=WORK / "tuned")
if data.x_test is not None:
    accuracies["linear probe, more labels"] = tuned.probe_accuracy
    accuracies["fine-tuned, more labels"] = tuned["test"]["top1"]
print(tuned)

# %%
if accuracies:
    figure, axes = plt.subplots(figsize=(7, 2))
    bars = axes.barh(list(accuracies)[::-1], list(accuracies.values())[::-1])
    axes.bar_label(bars, [f"{value:.1%}" for value in accuracies.values()][::-1])
    axes.set(xlim=(0, 1.12), xlabel="accuracy on the test images")

# %% [markdown]
# ## Serving
#
# One file that takes photographs as they are, uint8 and of any size, and needs neither
# this package nor Keras; `pip install "semppl_keras[export,serve]"`. The notebook
# `export_and_serve` has the other formats.
#
#     semppl export RUN --format onnx

# %%
import json

import onnxruntime

path = runs.export(
    RUN,
    format="onnx",
    classifier=WORK / "tuned" / "classifier.keras" if len(labelled) >= 200 else None,
    out=WORK / "classifier.onnx",
)
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
names = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])


def served(images):
    """Probabilities `(B, C)` of uint8 images `(B, h, w, channels)`."""
    return session.run(["probabilities"], {"images": images})[0]


photograph = semppl_keras.data.read_image(labels.names[0], channels=channels)
(shares,) = served(photograph[None])
figure, axes = plt.subplots(figsize=(2, 2))
show(axes, photograph / 255, f"{names[shares.argmax()]}, {shares.max():.0%}")

if data.x_test is None:
    print("no test images; the first photograph is", names[shares.argmax()])
else:
    given = served(data.x_test).argmax(axis=1)
    print("accuracy of what is served:", float(np.mean(given == data.y_test)))
