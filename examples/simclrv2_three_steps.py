# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # SimCLRv2 in three steps
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/semppl-keras/semppl_keras/blob/main/examples/simclrv2_three_steps.ipynb)
#
# "Big Self-Supervised Models are Strong Semi-Supervised Learners" (Chen et al., NeurIPS
# 2020, [arXiv 2006.10029](https://arxiv.org/abs/2006.10029)) goes from many images and
# few labels to a small classifier in three steps: pre-train a network without labels,
# fine-tune it on the few, and let it teach a smaller one with all images.
#
# The images are scikit-learn's handwritten digits: 1,397 to learn from, 400 to test on,
# 4 of each digit labelled. Nothing is downloaded.

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
import keras
import matplotlib.pyplot as plt

import semppl_keras

SEED = 0
keras.utils.set_random_seed(SEED)
data = semppl_keras.data.load_digits(labels_per_class=4, seed=SEED).enlarged(16)
print(len(data.x_train), "images,", len(data.x_labelled), "of them labelled")

figure, rows = plt.subplots(4, 10, figsize=(7, 3))
for digit, column in enumerate(rows.T):
    for image, axes in zip(
        data.x_labelled[data.y_labelled == digit], column, strict=True
    ):
        axes.imshow(image[..., 0], cmap="gray")
        axes.axis("off")
_ = figure.suptitle("All the labels there are")

# %% [markdown]
# ## What the labels alone give
#
# Two networks, trained from scratch on the 40 labelled images with the random views
# that pre-training will see: the large one, and the small one of the third step.


# %%
def large_network():
    return semppl_keras.backbones.SmallResNet((16, 32, 64), stem_strides=2)


def small_network():
    return semppl_keras.backbones.SmallResNet((8, 16, 32), stem_strides=2)


views = semppl_keras.views.recipe("digits")


def labels_alone(make_backbone):
    keras.utils.set_random_seed(SEED)
    draws = keras.random.SeedGenerator(SEED)
    return semppl_keras.evaluation.supervised_accuracy(
        data.x_labelled,
        data.y_labelled,
        data.x_test,
        data.y_test,
        make_backbone=make_backbone,
        augment=lambda images: views(images, seed=draws)["large"][:, 0],
        prepare=views.center_view,
        seed=SEED,
    )


accuracies = {}
supervised = labels_alone(large_network)
accuracies["pixels, logistic regression"] = supervised.logistic_regression
accuracies["large network, labels alone"] = supervised.network
accuracies["small network, labels alone"] = labels_alone(small_network).network
for what, accuracy in accuracies.items():
    print(f"{what:<38}{accuracy:.1%}")

# %% [markdown]
# ## Step 1: pre-training, with a deep head
#
# `SimCLR` learns to tell the two random views of an image from those of all others. Its
# projection head has three layers, one more than SimCLR's, since the next step goes on
# from within it. (The paper's network is a ResNet-152 of width 3, its head 6,144 wide,
# its temperature 0.1 on ImageNet's 1,000 classes; ten classes of digits, of which each
# batch holds many, want a higher one.)

# %%
EPOCHS = 25
keras.utils.set_random_seed(SEED)
pretrained = semppl_keras.SimCLR(
    large_network(),
    views=views,
    projection_dim=64,
    hidden_dim=256,
    hidden_layers=2,
    temperature=0.5,
    seed=SEED,
)
batch_size = 96
steps = EPOCHS * -(-len(data.x_train) // batch_size)
pretrained.compile(
    keras.optimizers.Adam(
        semppl_keras.optimizers.warmup_cosine(
            7e-3, warmup_steps=steps // 20, total_steps=steps
        )
    )
)
history = pretrained.fit(
    data.x_train, epochs=EPOCHS, batch_size=batch_size, verbose=0
).history

probe = semppl_keras.evaluation.linear_probe(
    pretrained.embed(data.x_labelled), data.y_labelled, seed=SEED
)
accuracies["step 1, linear probe"] = probe.score(
    pretrained.embed(data.x_test), data.y_test
)
print(f"linear probe on the frozen network: {accuracies['step 1, linear probe']:.1%}")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.5))
left.plot(history["loss"])
left.set(xlabel="epoch", title="loss")
right.plot(history["contrastive_accuracy"])
_ = right.set(xlabel="epoch", title="views nearest to their own image's")

# %% [markdown]
# ## Step 2: fine-tuning, from the middle of the head
#
# A linear layer is put on the network, or on the first or second hidden layer of its
# head, and all of it is trained on the 40 labels, with crops and turns but without
# changes of colour. The paper fine-tunes from the first hidden layer (its section 3,
# figure 5), which is `FineTuner`'s default; so does the third step here, whatever the
# test images say of the others.


# %%
def decayed(learning_rate, steps):
    return keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    )


tuners = {}
for layer, name in enumerate(("network", "first hidden layer", "second hidden layer")):
    keras.utils.set_random_seed(SEED)
    tuner = semppl_keras.FineTuner(
        pretrained, data.num_classes, from_layer=layer, seed=SEED
    )
    tuner.compile(decayed(1e-3, steps=200))
    tuner.fit(data.x_labelled, data.y_labelled, epochs=200, verbose=0)
    _, accuracy = tuner.evaluate(data.x_test, data.y_test, verbose=0)
    accuracies[f"step 2, from the {name}"] = accuracy
    print(f"fine-tuned from the {name}: {accuracy:.1%}")
    tuners[layer] = tuner
teacher = tuners[1]

# %% [markdown]
# ## Step 3: distillation, with all images
#
# A network with a fifth of the weights learns what the fine-tuned one says of every
# image, labelled or not, and sees no label at all. It begins from scratch: hence the
# higher learning rate.

# %%
keras.utils.set_random_seed(SEED)
student = semppl_keras.Distiller(small_network(), teacher=teacher, seed=SEED)
batch_size, epochs = 96, 40
steps = epochs * -(-len(data.x_train) // batch_size)
student.compile(decayed(5e-3, steps))
history = student.fit(
    data.x_train, epochs=epochs, batch_size=batch_size, verbose=0
).history
_, distilled = student.evaluate(data.x_test, data.y_test, verbose=0)
accuracies["step 3, the small network"] = distilled
print(f"distilled: {distilled:.1%}")
print(f"student and teacher agree on {history['teacher_agreement'][-1]:.1%} of views")

sizes = [model.classifier.count_params() for model in (teacher, student)]
print("weights: teacher {:,}, student {:,}".format(*sizes))

# %% [markdown]
# ## Side by side
#
# With so few labels fine-tuning may fall behind a linear probe on the network as it is;
# with some hundred it no longer does (see [accuracy](../docs/results/accuracy.md)).
# What the third step gives is a network of a fifth of the size.

# %%
figure, axes = plt.subplots(figsize=(7, 3))
names = list(accuracies)[::-1]
colors = ["tab:blue" if name.startswith("step") else "tab:gray" for name in names]
bars = axes.barh(names, [accuracies[name] for name in names], color=colors)
axes.bar_label(bars, [f"{accuracies[name]:.1%}" for name in names], padding=3)
axes.set(xlim=(0, 1.12), xlabel="accuracy on 400 test images")
figure.tight_layout()

for what, accuracy in accuracies.items():
    print(f"{what:<38}{accuracy:.1%}")
gain = distilled - accuracies["small network, labels alone"]
print("what the small network gains by the three steps:", round(float(gain), 4))
