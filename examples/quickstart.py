# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # SemPPL in five minutes
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/semppl-keras/semppl_keras/blob/main/examples/quickstart.ipynb)
#
# Scikit-learn's handwritten digits: 1,397 images to learn from, 10 of each digit
# labelled, 400 to test on. Nothing is downloaded.

# %%
# The package, where it is missing, as on Colab and Kaggle: Keras and the backends that
# are there stay. A machine without any backend gets TensorFlow.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("semppl_keras") is None:
    backends = map(importlib.util.find_spec, ("tensorflow", "jax", "torch"))
    extras = "" if any(backends) else "tensorflow"
    address = "git+https://github.com/semppl-keras/semppl_keras"
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"semppl_keras[{extras}] @ {address}"], check=True)

# Without KERAS_BACKEND and without TensorFlow one of the others is taken.
from semppl_keras.runs.backend import choose_backend

choose_backend()

# %%
import numpy as np

import semppl_keras

data = semppl_keras.data.load_digits(labels_per_class=10, seed=0).enlarged(16)
print(len(data.x_unlabelled), "unlabelled,", len(data.x_labelled), "labelled images")

# %% [markdown]
# Each step makes two random views of every image. These are the views of eight digits.

# %%
import matplotlib.pyplot as plt

recipe = semppl_keras.recipes.get("digits", epochs=6)
steps = -(-len(data.x_unlabelled) // recipe.batch_size)
model = recipe.make_model(channels=1, num_classes=10, steps_per_epoch=steps, seed=0)

views = model.views(data.x_labelled[::12][:8], seed=0)
figure, rows = plt.subplots(2, 8, figsize=(8, 2))
for view, row in enumerate(rows):
    for axes, image in zip(row, np.asarray(views["large"])[:, view], strict=True):
        axes.imshow(image[..., 0], cmap="gray", vmin=0, vmax=1)
        axes.axis("off")

# %% [markdown]
# Training: the hidden labels feed the metric `pseudo_label_accuracy` and nothing else.
# Six epochs are for show; `semppl train` runs all of them.

# %%
history = model.fit(
    (data.x_unlabelled, data.y_hidden),
    (data.x_labelled, data.y_labelled),
    epochs=recipe.epochs,
    batch_size=recipe.batch_size,
    labelled_batch_size=recipe.labelled_batch_size,
    validation_data=(data.x_test, data.y_test),
    verbose=2,
)

# %% [markdown]
# Labels for the rest of the images, with the share of the votes as their confidence,
# and a linear probe on the representation.

# %%
labels, confidences = model.pseudo_label(data.x_unlabelled)
print("pseudo-labels right:", np.mean(labels == data.y_hidden))
print("of the unanimous ones:", np.mean((labels == data.y_hidden)[confidences == 1]))

probe = semppl_keras.evaluation.linear_probe(
    model.embed(data.x_labelled), data.y_labelled
)
print("linear probe:", probe.score(model.embed(data.x_test), data.y_test))
