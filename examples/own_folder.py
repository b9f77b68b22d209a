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
# From a folder of images, a few of them labelled in a table, to labels for the rest and
# a classifier that can be served. Each step is Python here; the command that does the
# same stands beside it. Nothing is downloaded, and no file of yours is changed. (In
# eight calls, without looking inside: `semppl_keras.runs` has a function for each
# command.)
#
# `PHOTOS` is the folder; `LABELS` a CSV of `path,label`, paths relative to it, or a
# folder with a subfolder for each class; `TEST` the same of images to measure on, if
# you have any. As they are here, the notebook writes a folder of its own to try it on.

# %%
PHOTOS = None
LABELS = None
TEST = None
IMAGE_SIZE = None  # None: that of the labelled images, at most 96
EPOCHS = None  # None: some 3,000 steps, an evening for large images

# %% [markdown]
# Scikit-learn's handwritten digits as PNG files: 1,397 photographs, of which 40 are
# labelled, and 400 more to test on. One file is broken, as in any real folder.

# %%
import csv
import os
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


TRUTH = {}  # what a person would see in a photograph
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
# Of every image the central square is resized. What cannot be read is left out and
# named; what is worth knowing about the labels is told: leakage, imbalance, classes
# with a single label.

# %%
import semppl_keras

SEED = 0
data = semppl_keras.data.load_own_images(PHOTOS, LABELS, TEST, image_size=IMAGE_SIZE)
size, channels = data.x_train.shape[-2:]
print(len(data.x_unlabelled), "unlabelled,", len(data.x_labelled), "labelled images of")
print(f"{size} x {size} pixels, {data.num_classes} classes:", *data.class_names)
for remark in data.remarks:
    print("Note:", remark)
for skipped in data.skipped:
    print(f"Left out: {os.path.basename(skipped.name)}: {skipped.reason}")

# %% [markdown]
# ## What training would see
#
# `semppl views PHOTOS` draws this, too. Look whether the random views still show what
# the label says: the usual ones mirror images, and a mirrored digit is no digit, hence
# other views for these.

# %%
import dataclasses

import matplotlib.pyplot as plt

epochs = EPOCHS or semppl_keras.recipes.usual_epochs(len(data.x_unlabelled))
recipe = semppl_keras.recipes.own_images(size, epochs=epochs)
if TRUTH:
    views = ("digits", {"large_size": size})
    recipe = dataclasses.replace(recipe, model={**recipe.model, "views": views})


def show(axes, image, title=None):
    axes.imshow(np.squeeze(np.clip(image, 0, 1)), cmap="gray", vmin=0, vmax=1)
    axes.set_title(title, size=8)
    axes.axis("off")


shown = data.x_labelled[:: -(-len(data.x_labelled) // 10)]
draws = [
    np.asarray(recipe.make_views()(shown, seed=draw)["large"])[:, 0]
    for draw in range(3)
]
figure, rows = plt.subplots(4, len(shown), figsize=(len(shown), 4))
for row, images in zip(rows, [shown / 255, *draws], strict=True):
    for axes, image in zip(row, images, strict=True):
        show(axes, image)
_ = figure.suptitle("Photographs, and three views of each")

# %% [markdown]
# ## Training
#
# SemPPL ([arXiv 2301.05158](https://arxiv.org/abs/2301.05158)) learns from all images;
# the labelled ones vote for the labels of the others while it learns.
#
#     semppl train --unlabelled PHOTOS --labelled LABELS --test TEST --out RUN

# %%
import keras

keras.utils.set_random_seed(SEED)
batch_size = min(recipe.batch_size, len(data.x_unlabelled))
model = recipe.make_model(
    channels,
    data.num_classes,
    steps_per_epoch=-(-len(data.x_unlabelled) // batch_size),
    seed=SEED,
)
history = model.fit(
    data.x_unlabelled,
    (data.x_labelled, data.y_labelled),
    epochs=epochs,
    batch_size=batch_size,
    labelled_batch_size=min(recipe.labelled_batch_size, len(data.x_labelled)),
    verbose=0,
).history
model.save(WORK / "model.keras")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.5))
left.plot(history["loss"])
left.set(xlabel="epoch", title="loss")
right.plot(history["pseudo_label_confidence"])
_ = right.set(xlabel="epoch", title="confidence of the votes", ylim=(0, 1.02))

# %% [markdown]
# ## Labels for the rest
#
# A linear probe on the frozen network gives each photograph probabilities.
#
#     semppl label RUN PHOTOS --out labelled.csv --review 50


# %%
def probed(data):
    """The network and a linear probe on it, as one classifier of images."""
    probe = semppl_keras.evaluation.linear_probe(
        model.embed(data.x_labelled), data.y_labelled, seed=SEED
    )
    return semppl_keras.export.linear_classifier(
        model.backbone, model.views, probe, data.num_classes, data.class_names
    )


accuracies = {}


def measure(what, classifier):
    """Accuracy on the test images, where there are any."""
    if data.x_test is not None:
        given = classifier.predict(data.x_test, verbose=0).argmax(axis=1)
        accuracies[what] = float(np.mean(given == data.y_test))
        print(f"{what}: {accuracies[what]:.1%} of {len(given)} test images")


if data.x_test is None:
    folds = semppl_keras.evaluation.cross_validated_predictions(
        model.embed(data.x_labelled), data.y_labelled, seed=SEED
    )
    print(f"held out by turns: {np.mean(folds == data.y_labelled):.1%} of the labels,")
    print("which is optimistic: the network has trained with all of them")

labels_alone = semppl_keras.evaluation.linear_probe(
    semppl_keras.evaluation.as_pixels(data.x_labelled),
    data.y_labelled,
    standardize=False,
    seed=SEED,
)
if data.x_test is not None:
    accuracies["pixels, labels alone"] = labels_alone.score(
        semppl_keras.evaluation.as_pixels(data.x_test), data.y_test
    )
    print(f"pixels, labels alone: {accuracies['pixels, labels alone']:.1%}")
classifier = probed(data)
measure("linear probe", classifier)

probabilities = classifier.predict(data.x_unlabelled, verbose=0)
confidences = probabilities.max(axis=1)
paths = [data.train_names[index] for index in data.unlabelled_indices]
guesses = [data.class_names[best] for best in probabilities.argmax(axis=1)]
with open(WORK / "guessed.csv", "w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file)
    writer.writerow(["path", "label", "confidence"])
    for path, guess, confidence in zip(paths, guesses, confidences, strict=True):
        writer.writerow([os.path.relpath(path, WORK), guess, f"{confidence:.4f}"])
print("".join((WORK / "guessed.csv").read_text(encoding="utf-8").splitlines(True)[:6]))

order = np.argsort(confidences)
figure, rows = plt.subplots(2, 10, figsize=(10, 2.6))
for row, chosen in zip(rows, (order[::-1][:10], order[:10]), strict=True):
    for axes, index in zip(row, chosen, strict=False):
        title = f"{guesses[index]}, {confidences[index]:.0%}"
        show(axes, data.x_unlabelled[index] / 255, title)
_ = figure.suptitle("The most and the least certain")

# %% [markdown]
# ## Looking through some
#
# The page has the 50 photographs whose labels would teach most: uncertain ones, unlike
# each other. Open it in a browser, choose what each image shows, and save the table
# `review_labels.csv` into the folder where the page is. For the digits the truth takes
# the place of the person who looks.

# %%
from semppl_keras.reports.contact_sheet import write_contact_sheet
from semppl_keras.runs.labelling import choose_for_review

chosen = choose_for_review(confidences, model.embed(data.x_unlabelled), 50)
ranks = np.argsort(-probabilities, axis=1)
entries = [
    {
        "image": semppl_keras.data.read_image(paths[index]),
        "path": os.path.relpath(paths[index], WORK),
        "label": guesses[index],
        "second": data.class_names[ranks[index, 1]],
        "confidence": float(confidences[index]),
        "second_share": float(probabilities[index, ranks[index, 1]]),
        "nearest": [],
    }
    for index in chosen
]
title = f"{len(entries)} images to label"
page = WORK / "review.html"
write_contact_sheet(page, entries, data.class_names, "guessed.csv", title)
reviewed = WORK / "review_labels.csv"
if TRUTH:
    write_table(reviewed, [(paths[index], TRUTH[paths[index]]) for index in chosen])
    right = sum(guesses[index] == TRUTH[paths[index]] for index in chosen)
    print(f"of these {len(chosen)} the guess is right in {right}")
print("to look through:", page)

figure, rows = plt.subplots(2, 10, figsize=(10, 2.6))
for axes, index in zip(rows.flat, chosen, strict=False):
    show(axes, data.x_unlabelled[index] / 255, f"{guesses[index]}?")

# %% [markdown]
# ## All labels together
#
# Those at hand and those of the page: the linear probe anew, and the whole network
# fine-tuned on them, the second step of SimCLRv2
# ([arXiv 2006.10029](https://arxiv.org/abs/2006.10029)). Fine-tuning pays from some
# hundred labels on: with fewer than 200 the probe is what is served here. (Not
# whichever does better on the test images: they would no longer measure anything.)
#
#     semppl finetune RUN

# %%
new = {}
if reviewed.exists():
    with open(reviewed, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            path = os.path.abspath(WORK / row["path"])
            new[path] = data.class_names.index(row["label"])
y_train = np.array(
    [
        new.get(os.path.abspath(name), label)
        for name, label in zip(data.train_names, data.y_train, strict=True)
    ]
)
more = dataclasses.replace(
    data, y_train=y_train, labelled_indices=np.flatnonzero(y_train >= 0)
)
print(len(data.x_labelled), "labels before,", len(more.x_labelled), "now")
classifier = probed(more)
measure("linear probe, more labels", classifier)

keras.utils.set_random_seed(SEED)
tuner = semppl_keras.FineTuner(model, data.num_classes, seed=SEED)
steps_per_epoch = -(-len(more.x_labelled) // 64)
tuner_epochs = max(10, 300 // steps_per_epoch)
tuner.compile(
    keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(1e-3, tuner_epochs * steps_per_epoch)
    )
)
tuner.fit(
    more.x_labelled,
    more.y_labelled,
    epochs=tuner_epochs,
    batch_size=min(64, len(more.x_labelled)),
    verbose=0,
)
measure("fine-tuned, more labels", tuner.classifier)
if len(more.x_labelled) >= 200:
    classifier = tuner.classifier
    classifier.class_names = data.class_names

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
# this package nor Keras; `pip install "semppl_keras[export]" onnxruntime`. The notebook
# `export_and_serve` has the other formats.
#
#     semppl export RUN --format onnx

# %%
import json

import onnxruntime

path = semppl_keras.export.export_model(
    classifier, WORK / "classifier.onnx", format="onnx"
)
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
names = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])


def served(images):
    """Probabilities `(B, C)` of uint8 images `(B, h, w, channels)`."""
    return session.run(["probabilities"], {"images": images})[0]


photograph = semppl_keras.data.read_image(paths[0], channels=channels)
(shares,) = served(photograph[None])
figure, axes = plt.subplots(figsize=(2, 2))
show(axes, photograph / 255, f"{names[shares.argmax()]}, {shares.max():.0%}")

if data.x_test is None:
    print("no test images; the first photograph is", names[shares.argmax()])
else:
    given = served(data.x_test).argmax(axis=1)
    print("accuracy of what is served:", float(np.mean(given == data.y_test)))
