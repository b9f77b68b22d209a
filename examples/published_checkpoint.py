# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A published checkpoint, fine-tuned on few labels
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/semppl-keras/semppl_keras/blob/main/examples/published_checkpoint.ipynb)
#
# The authors of SemPPL ([arXiv 2301.05158](https://arxiv.org/abs/2301.05158)), BYOL
# ([2006.07733](https://arxiv.org/abs/2006.07733)) and SimCLRv2
# ([2006.10029](https://arxiv.org/abs/2006.10029)) published networks that have learned
# from ImageNet. Each becomes a Keras model in one line, and is fine-tuned on labels of
# your own.
#
# `CHECKPOINT` is the file, such as `pretrain_res50x1.pkl` (SemPPL, BYOL), or the prefix
# or folder of a TensorFlow checkpoint, such as `r50_1x_sk1` (SimCLRv2). Nothing is
# downloaded here: without a file the notebook writes a small one of the same format,
# whose network has learned a little from digits.

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
CHECKPOINT = None
IMAGE_SIZE = 16  # 224 is what ImageNet's networks know

# %%
import keras
import numpy as np

import semppl_keras

SEED = 0
keras.utils.set_random_seed(SEED)

# %% [markdown]
# ## The images
#
# Scikit-learn's handwritten digits, 4 of each labelled, and 400 to test on; in three
# equal channels, since these networks take RGB. `semppl_keras.data.load_own_images`
# reads a folder of yours.

# %%
digits = semppl_keras.data.load_digits(labels_per_class=None, seed=SEED)
digits = digits.enlarged(IMAGE_SIZE)
x_train, x_test = (np.repeat(x, 3, axis=-1) for x in (digits.x_train, digits.x_test))
y_train, y_test, num_classes = digits.y_train, digits.y_test, digits.num_classes

# The first thousand are someone else's, see below.
own = np.arange(1000, len(x_train))
few = own[semppl_keras.data.choose_labelled(y_train[own], 4, num_classes, SEED)]
x_labelled, y_labelled = x_train[few], y_train[few]
print(len(x_labelled), "labelled images of", num_classes, "classes")

# %% [markdown]
# ## A stand-in, where there is no file
#
# To be skipped with a real file. As the authors had other images and more labels,
# someone else here has a thousand other digits and labels for 300 of them: SemPPL
# trains a ResNet-18 of a quarter of the width on these for a moment. It is written as
# DeepMind's code writes its networks: a pickle with the parameters and the averages of
# batch normalisation, by the names of Haiku's modules.

# %%
import pathlib
import pickle
import re
import tempfile


def haiku_module(layer):
    """`stage2_block1_norm1` is Haiku's `block_group_1/~/block_0/~/batchnorm_0`."""
    place = re.fullmatch(r"stage(\d)_block(\d)_(.*)", layer)
    part = place[3] if place else layer.replace("stem", "initial")
    part = part.replace("norm", "batchnorm")
    part = re.sub(r"\d$", lambda number: f"_{int(number[0]) - 1}", part)
    if place is None:
        return f"res_net18/~/{part}"
    group, block = int(place[1]) - 1, int(place[2]) - 1
    return f"res_net18/~/block_group_{group}/~/block_{block}/~/{part}"


def write_stand_in(path, backbone, projector, predictor):
    """Writes networks of this package as a checkpoint of DeepMind's."""
    params, state = {}, {}

    def add(layer, module):
        if isinstance(layer, keras.layers.BatchNormalization):
            scale, offset, mean, variance = layer.get_weights()
            params[module] = {"scale": scale, "offset": offset}
            for name, average in (("mean_ema", mean), ("var_ema", variance)):
                state[f"{module}/~/{name}"] = {"average": average}
        elif isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            params[module] = dict(zip(("w", "b"), layer.get_weights(), strict=False))

    for layer in backbone.layers:
        add(layer, haiku_module(layer.name))
    parts = {"hidden": "linear", "norm": "batch_norm", "output": "linear_1"}
    for name, head in (("projector", projector), ("predictor", predictor)):
        for part, module in parts.items():
            add(head.get_layer(part), f"{name}/{module}")
    content = {"experiment_state": {"online_params": params, "online_state": state}}
    path.write_bytes(pickle.dumps(content))


if CHECKPOINT is None:
    from semppl_keras.checkpoints.deepmind import DEVIATION_RGB, MEAN_RGB

    small = semppl_keras.backbones.ResNet(
        18,
        width_multiplier=1 / 4,
        padding="same",
        project_first_blocks=True,
        normalization=(MEAN_RGB, DEVIATION_RGB),
        input_shape=(None, None, 3),
    )
    pretrained = semppl_keras.SemPPL(
        small,
        num_classes,
        views=semppl_keras.views.recipe("digits", large_size=IMAGE_SIZE),
        hidden_dim=256,
        projection_dim=64,
        memory_size=640,
        neighbours=10,
        temperature=0.5,
        semantic_weight=1.0,
        target_momentum=0.9,
        seed=SEED,
    )
    epochs, batch_size = 40, 64
    steps = epochs * -(-700 // batch_size)
    schedule = semppl_keras.optimizers.warmup_cosine(7e-3, steps // 20, steps)
    pretrained.compile(keras.optimizers.Adam(schedule))
    pretrained.fit(
        x_train[300:1000],
        (x_train[:300], y_train[:300]),
        epochs=epochs,
        batch_size=batch_size,
        labelled_batch_size=32,
        verbose=0,
    )
    folder = tempfile.mkdtemp(prefix="stand_in_", dir=".")
    CHECKPOINT = pathlib.Path(folder) / "res18.pkl"
    write_stand_in(CHECKPOINT, small, *pretrained.online.heads)

print(CHECKPOINT)

# %% [markdown]
# ## Importing
#
# Depth, width and kernels are told from the arrays. A pickle is a program; here it is
# read by something that builds arrays and executes nothing. The command does as much
# with the backbone alone:
#
#     semppl import pretrain_res50x1.pkl --out resnet50.keras

# %%
if str(CHECKPOINT).endswith(".pkl"):
    checkpoint = semppl_keras.checkpoints.load_deepmind(CHECKPOINT)
else:
    checkpoint = semppl_keras.checkpoints.load_simclr(CHECKPOINT)
print(checkpoint.describe())
print("not needed:", len(checkpoint.ignored), "arrays")

# %% [markdown]
# The backbone takes RGB in [0, 1] and gives features. Of the stand-in we know what they
# are to be: the largest difference, relative to the largest feature. (Of the real
# networks `tests/checkpoints` compares them with what their authors' code
# computes.)

# %%
images = x_test[:64] / 255
features = keras.ops.convert_to_numpy(checkpoint.backbone(images))
print("features", features.shape)
if "stand_in" in str(CHECKPOINT):
    wanted = keras.ops.convert_to_numpy(small(images))
    difference = np.abs(features - wanted).max() / np.abs(wanted).max()
    print(f"difference from the network that was written: {difference:.1e}")

# %% [markdown]
# Pre-training can go on as well, with SemPPL's, BYOL's or ReLICv2's heads as they were
# left: make a model with `hidden_dim` and `projection_dim` of the file's,
# `checkpoint.load_heads(model)`, and `model.fit`.
#
# ## Fine-tuning
#
# SimCLRv2's networks are fine-tuned from the first layer of their head
# (`fine_tune_backbone`), the others from their features. A bare backbone does not tell
# what its images were like, so that `views` have to be given: crops and turns of the
# digits, with their greys as they are. Beside it the same network from scratch, and a
# linear probe on features that stay as they are.

# %%
network = checkpoint.fine_tune_backbone
if network is None:
    network = checkpoint.backbone
from_scratch = semppl_keras.backbones.ResNet(
    checkpoint.depth,
    checkpoint.width_multiplier,
    selective_kernels=checkpoint.selective_kernels,
    version=checkpoint.version,
    input_shape=(None, None, 3),
)
views = semppl_keras.views.recipe(
    "digits", large_size=IMAGE_SIZE, num_large=1, color_jitter=0.0, blur=(0.0, 0.0)
)


def fine_tuned(network, learning_rate, epochs=150):
    keras.utils.set_random_seed(SEED)
    tuner = semppl_keras.FineTuner(network, num_classes, views=views, seed=SEED)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs)
    tuner.compile(keras.optimizers.Adam(schedule))
    # One batch has all of the 40 labelled images.
    tuner.fit(x_labelled, y_labelled, epochs=epochs, verbose=0)
    return tuner


def accuracy_of(tuner):
    return tuner.evaluate(x_test, y_test, verbose=0)[1]


tuner = fine_tuned(network, learning_rate=1e-3)
embedder = semppl_keras.export.ImageEmbedder(checkpoint.backbone, views)
probe = semppl_keras.evaluation.linear_probe(
    embedder.predict(x_labelled, verbose=0), y_labelled, seed=SEED
)
accuracies = {
    "from scratch": accuracy_of(fine_tuned(from_scratch, learning_rate=3e-3)),
    "linear probe": probe.score(embedder.predict(x_test, verbose=0), y_test),
    "fine-tuned": accuracy_of(tuner),
}

# %% [markdown]
# ## What it is worth
#
# Accuracy on 400 test images, and those of which the fine-tuned network is least
# certain. With so few labels a linear probe may do as well as fine-tuning, or better;
# with some hundred it no longer does.

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6, 1.8))
bars = axes.barh(list(accuracies)[::-1], list(accuracies.values())[::-1])
axes.bar_label(bars, [f"{value:.1%}" for value in accuracies.values()][::-1])
axes.set(xlim=(0, 1.12), xlabel="accuracy, 4 labels of each digit")

probabilities = tuner.predict(x_test, verbose=0)
figure, row = plt.subplots(1, 10, figsize=(9, 1.4))
for axes, index in zip(row, np.argsort(probabilities.max(axis=1)), strict=False):
    axes.imshow(x_test[index] / 255)
    best = probabilities[index].argmax()
    axes.set_title(f"{best}? it is {y_test[index]}", size=7)
    axes.axis("off")

tuner.classifier.save("classifier.keras")
for what, accuracy in accuracies.items():
    print(f"{what}: {accuracy:.4f}")
