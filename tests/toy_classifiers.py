"""Classifiers small enough to be computed again in NumPy."""

import keras
import numpy as np
from keras import layers

from semppl_keras.views import MultiCrop


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def plain_views(size=3, **changes):
    """Views in which nothing is drawn: the image itself."""
    settings = {
        "num_large": 1,
        "num_small": 0,
        "large_size": size,
        "large_area": (1, 1),
        "aspect_ratio": (1, 1),
        "flip": 0,
        "color_jitter": 0,
        "grayscale": 0,
        "blur": (0, 0),
        "solarize": (0, 0),
    }
    return MultiCrop(**{**settings, **changes})


def dense_backbone(features=4, size=3, **arguments):
    return keras.Sequential(
        [
            layers.Input((size, size, 1)),
            layers.Flatten(),
            layers.Dense(features, "tanh", **arguments),
        ],
        name="dense_backbone",
    )


def softmax64(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


class Oracle:
    """Dense, tanh, Dense, softmax, and gradient descent, in NumPy float64."""

    def __init__(self, classifier, learning_rate):
        variables = classifier.trainable_variables
        self.weights = [numpy(v).astype("float64") for v in variables]
        self.learning_rate = learning_rate

    def logits(self, x):
        kernel, bias, top, top_bias = self.weights
        return np.tanh(x @ kernel + bias) @ top + top_bias

    def step(self, x, slope):
        """One step, given the loss' slope in the logits, `(B, num_classes)`."""
        kernel, bias, top, _ = self.weights
        hidden = np.tanh(x @ kernel + bias)
        below = (slope @ top.T) * (1 - hidden**2)
        gradient = [x.T @ below, below.sum(0), hidden.T @ slope, slope.sum(0)]
        for weight, change in zip(self.weights, gradient, strict=True):
            weight -= self.learning_rate * change

    def assert_equal(self, classifier):
        for own, variable in zip(
            self.weights, classifier.trainable_variables, strict=True
        ):
            np.testing.assert_allclose(numpy(variable), own, rtol=1e-4, atol=1e-6)


def linear_teacher(outputs):
    """A classifier of 3 x 3 images in [0, 255], and the same in NumPy."""
    weights = np.random.default_rng(4).normal(size=(9, 3)) * 3
    activation = "softmax" if outputs == "probabilities" else None
    teacher = keras.Sequential(
        [
            layers.Input((3, 3, 1)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(3, activation, use_bias=False),
        ]
    )
    teacher.layers[-1].set_weights([weights])
    return teacher, lambda x: x @ weights


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return tuple(array[4 * index : 4 * index + 4] for array in self.arrays)


def maps():
    images = keras.Input((None, None, 1))
    return keras.Model(images, layers.Conv2D(4, 3, padding="same")(images))
