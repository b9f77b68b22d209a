"""Images per second of RandAugment, against Keras' layer of this name.

    pip install "semppl_keras[jax]"
    KERAS_BACKEND=jax python benchmarks/rand_augment.py

Two operations on each of 256 images of 32 x 32 x 3, on the backend that is chosen:
TensorFlow as a graph and compiled by XLA, JAX compiled, torch as it is. Keras draws two
operations for the whole batch, ours two for each image. The contenders take turns, so
that whatever else the machine does falls on all of them; the ratio is of medians.
"""

import argparse
import statistics
import time

import keras
import numpy as np

from semppl_keras.views import RandAugment


class Ours(keras.layers.Layer):
    """`RandAugment` with a generator of seeds, in place of one seed."""

    def __init__(self):
        super().__init__()
        self.augment = RandAugment(2)
        self.seeds = keras.random.SeedGenerator(0)
        self.built = True

    def call(self, images, training=True):
        return self.augment(images, seed=self.seeds)


def prepared(layer, form):
    """A function of images that runs a layer in its compiled form and waits for it."""
    layer(np.zeros((2, 8, 8, 3), "float32"), training=True)
    if form == "jax.jit":
        import jax

        state = [variable.value for variable in layer.non_trainable_variables]
        step = jax.jit(lambda state, x: layer.stateless_call([], state, x))

        def run(images):
            nonlocal state
            drawn, state = step(state, images)
            drawn.block_until_ready()

        return run
    if form in ("graph", "XLA"):
        import tensorflow as tf

        step = tf.function(lambda x: layer(x, training=True), jit_compile=form == "XLA")
        return lambda images: step(images).numpy()

    def run(images):
        keras.ops.convert_to_numpy(layer(images, training=True))

    return run


FORMS = {"tensorflow": ("graph", "XLA"), "jax": ("jax.jit",), "torch": ("eager",)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    shape = (arguments.batch, arguments.size, arguments.size, 3)
    images = np.random.default_rng(0).random(shape).astype("float32")
    images = keras.ops.convert_to_tensor(images)
    backend = keras.backend.backend()
    for form in FORMS[backend]:
        print(f"\n{backend}, {form}")
        functions = {
            "semppl_keras": prepared(Ours(), form),
            "Keras": prepared(
                keras.layers.RandAugment(value_range=(0, 1), num_ops=2, seed=0), form
            ),
        }
        for name in list(functions):
            start = time.perf_counter()
            try:
                functions[name](images)
            except Exception as error:
                line = str(error).strip().splitlines()[0]
                print(f"  {name:14} does not compile: {line[:90]}")
                del functions[name]
                continue
            print(f"  {name:14} first call {time.perf_counter() - start:.1f} s")
        seconds = {name: [] for name in functions}
        for _ in range(arguments.rounds):
            for name, function in functions.items():
                start = time.perf_counter()
                function(images)
                seconds[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        for name, median in medians.items():
            ratio = median / medians["semppl_keras"]
            speed = f"{arguments.batch / median:9,.0f} images/s"
            print(f"  {name:14} {speed}, ours {ratio:.1f} times as many")


if __name__ == "__main__":
    main()
