"""Images per second of the views, against Keras' and KerasCV's layers.

    pip install "semppl_keras[tensorflow,keras-cv]"
    KERAS_BACKEND=tensorflow python benchmarks/views.py

One view each of 256 images of 32 x 32 x 3: random resized crop, flip, colour
jitter, greyscale, Gaussian blur, solarisation. The contenders take turns, so that
whatever else the machine does falls on all of them; the ratio is of medians. What
Keras and KerasCV lack is done by what they have: a crop of one place and size for
the whole batch (Keras), one blur for the whole batch (Keras). Compiled by XLA,
their pipelines are tried as they are; an operation that XLA refuses is said.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import statistics
import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from semppl_keras.views import MultiCrop

tf.get_logger().setLevel("ERROR")

BATCH, SIZE = 256, 32


def ours():
    views = MultiCrop(
        num_large=1,
        num_small=0,
        large_size=SIZE,
        blur=(0.5, 0.5),
        solarize=(0.2, 0.2),
    )
    seed = keras.random.SeedGenerator(0)
    return lambda images: views(images, seed=seed)["large"][:, 0]


def in_turn(pipeline):
    def apply(images):
        images = tf.cast(images, tf.float32)
        for layer in pipeline:
            images = layer(images, training=True)
        return images

    return apply


def keras_core():
    pipeline = [
        layers.RandomCrop(SIZE - 8, SIZE - 8),
        layers.Resizing(SIZE, SIZE),
        layers.RandomFlip("horizontal"),
        layers.RandomColorJitter(
            value_range=(0, 255),
            brightness_factor=0.4,
            contrast_factor=0.4,
            saturation_factor=(0.4, 0.6),
            hue_factor=0.1,
        ),
        layers.RandomGrayscale(0.2),
        layers.RandomGaussianBlur(0.5, kernel_size=3, sigma=1.0, value_range=(0, 255)),
        layers.Solarization(value_range=(0, 255)),
    ]
    return in_turn(pipeline)


def keras_cv():
    import keras_cv

    pipeline = [
        keras_cv.layers.RandomCropAndResize(
            (SIZE, SIZE),
            crop_area_factor=(0.14, 1.0),
            aspect_ratio_factor=(0.75, 4 / 3),
        ),
        keras_cv.layers.RandomFlip("horizontal"),
        keras_cv.layers.RandomColorJitter(
            value_range=(0, 255),
            brightness_factor=0.4,
            contrast_factor=0.4,
            saturation_factor=(0.4, 0.6),
            hue_factor=0.1,
        ),
        keras_cv.layers.Grayscale(output_channels=3),
        keras_cv.layers.RandomGaussianBlur(kernel_size=3, factor=(0.0, 1.0)),
        keras_cv.layers.Solarization(value_range=(0, 255)),
    ]
    return in_turn(pipeline)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    images = tf.constant(
        np.random.default_rng(0).integers(0, 256, (BATCH, SIZE, SIZE, 3)), tf.uint8
    )
    makers = {"semppl_keras": ours, "Keras": keras_core, "KerasCV": keras_cv}
    for compiled in (False, True):
        print(f"\nTensorFlow {'compiled by XLA' if compiled else 'graph'}")
        functions = {}
        for name, make in makers.items():
            function = tf.function(make(), jit_compile=compiled)
            try:
                for _ in range(3):
                    function(images)
            except (tf.errors.OpError, ValueError, TypeError) as error:
                line = str(error).strip().splitlines()[0]
                print(f"  {name:14} does not compile: {line[:90]}")
                # What its users have then: the graph that is not compiled.
                function = tf.function(make())
                function(images)
                name += " (graph)"
            functions[name] = function
        seconds = {name: [] for name in functions}
        for _ in range(rounds):
            for name, function in functions.items():
                start = time.perf_counter()
                function(images).numpy()
                seconds[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        for name, median in medians.items():
            ratio = median / medians["semppl_keras"]
            speed = f"{BATCH / median:9,.0f} images/s"
            print(f"  {name:16} {speed}, ours {ratio:.1f} times as many")


if __name__ == "__main__":
    main()
