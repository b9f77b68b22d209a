# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Colab: GPU, TPU, or neither
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/semppl-keras/semppl_keras/blob/main/examples/colab_accelerators.ipynb)
#
# The same training on whatever the runtime has: in Colab choose it under *Runtime →
# Change runtime type*. Several devices compute what one would with the whole batch; the
# arguments of `fit` stay as they are.
#
# Tried on processors alone, one and two virtual ones: no GPU and no TPU was at hand
# when this was written, and `TPUStrategy` was not run.

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

# %% [markdown]
# ## The backend
#
# `KERAS_BACKEND` chooses it, before Keras is imported. Where it is not set: JAX where
# there is a TPU, since Colab's TPU runtimes come with JAX (TensorFlow needs the package
# `tensorflow-tpu` there, of the same version); elsewhere the first that is installed.

# %%
import glob
import os

# A TPU shows as a device file, and its driver as a package.
tpu = bool(glob.glob("/dev/accel*") or glob.glob("/dev/vfio/[0-9]*"))
tpu = tpu and importlib.util.find_spec("libtpu") is not None
if "KERAS_BACKEND" not in os.environ:
    preferred = ["jax", "tensorflow"] if tpu else ["tensorflow", "jax", "torch"]
    installed = [name for name in preferred if importlib.util.find_spec(name)]
    os.environ["KERAS_BACKEND"] = installed[0]

import keras

import semppl_keras

print("Keras", keras.__version__, "on", keras.backend.backend())

# %% [markdown]
# ## All devices
#
# On TensorFlow a strategy, in whose scope the model is made and compiled: `TPUStrategy`
# for a TPU, `MirroredStrategy` for several GPUs, none for a single device. On JAX
# `DataParallel` for several devices, before anything is created. On torch Keras trains
# on one device. (`examples/many_devices.py` goes on to several machines.)

# %%
import contextlib


def strategy_for(tf):
    """A strategy of TensorFlow for what there is, None for a single device."""
    if tf.config.list_physical_devices("TPU"):
        # "local": the TPU is one of this very machine, as it is in Colab.
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect("local")
        return tf.distribute.TPUStrategy(resolver)
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return None


scope = contextlib.nullcontext()
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    strategy = strategy_for(tf)
    if strategy is not None:
        scope = strategy.scope()
elif keras.backend.backend() == "jax" and len(keras.distribution.list_devices()) > 1:
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(auto_shard_dataset=False)
    )

# %% [markdown]
# ## Training
#
# Scikit-learn's handwritten digits, 10 labels of each, so that nothing is downloaded;
# `semppl_keras.data.load_own_images("photos", "labels.csv")` reads a folder. The batch
# size is that of all devices together, and a multiple of their number. These images are
# too small for an accelerator: with `ResNet50` on photographs and
# `keras.config.set_dtype_policy("mixed_bfloat16")` before the model is made it has
# something to do.

# %%
import time

SEED = 0
keras.utils.set_random_seed(SEED)
data = semppl_keras.data.load_digits(labels_per_class=10, seed=SEED).enlarged(16)
recipe = semppl_keras.recipes.get("digits", epochs=12)
steps = -(-len(data.x_unlabelled) // recipe.batch_size)
ends = []
with scope:
    model = recipe.make_model(1, data.num_classes, steps_per_epoch=steps, seed=SEED)
    history = model.fit(
        (data.x_unlabelled, data.y_hidden),
        (data.x_labelled, data.y_labelled),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        labelled_batch_size=recipe.labelled_batch_size,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter())
            )
        ],
        verbose=2,
    ).history

# %% [markdown]
# How quick it was: the first epoch, in which the step is compiled, is left out. A batch
# holds labelled images, too.

# %%
images = steps * (recipe.batch_size + recipe.labelled_batch_size)
rate = images * (len(ends) - 1) / (ends[-1] - ends[0])
print(f"{model.num_replicas} device(s): {rate:,.0f} images per second")

# %% [markdown]
# ## What was learned
#
# The hidden labels of the unlabelled images measure the pseudo-labels, and served for
# nothing else.

# %%
import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.5))
left.plot(history["loss"])
left.set(xlabel="epoch", title="loss")
right.plot(history["pseudo_label_accuracy"], label="right")
right.plot(history["pseudo_label_confidence"], label="confidence")
right.set(xlabel="epoch", title="pseudo-labels", ylim=(0, 1.02))
_ = right.legend()

# %% [markdown]
# A Colab runtime does not last: what is to be kept goes to Google Drive
# (`google.colab.drive.mount("/content/drive")`, and a path in it) or is downloaded. The
# file is one for every backend and every number of devices.

# %%
model.save("accelerated.keras")

probe = semppl_keras.evaluation.linear_probe(
    model.embed(data.x_labelled), data.y_labelled, seed=SEED
)
print("linear probe:", probe.score(model.embed(data.x_test), data.y_test))
