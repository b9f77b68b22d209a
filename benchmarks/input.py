"""What reading and augmenting images costs, and how long a training step waits for it.

    pip install "semppl_keras[tensorflow]"
    KERAS_BACKEND=tensorflow python benchmarks/input.py
    KERAS_BACKEND=tensorflow python benchmarks/input.py --crops --width 500 --height 375

JPEG files are made up, as large as a camera's small ones, and read to the size that a
run trains on: by `semppl_keras.data`, which decodes JPEG at a reduced size and keeps
what it has decoded, and by `keras.utils.image_dataset_from_directory`, which decodes
each image whole in every epoch. Images per second and core are images by the process'
CPU seconds, so that neither gains from threads.

Then the same training step is fed by either, and by one batch over and over, which
comes from memory at once: what an epoch takes longer than that one is the time that
it waits for its input; what is decoded before training is told in epochs. The three
take turns, so that whatever else the machine does falls on all of them; the numbers are
medians.

With `--crops` it is random crops of 224 px instead, drawn anew each time and kept
nowhere, by the pipelines of benchmarks/crop_feeds.py, in turn: images per CPU second,
what share of its time an accelerator of 2,000 images per second would wait for so many
cores, and what share of it one waits that is made up, a pause for each batch, fed by
the cores at hand.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import dataclasses
import pathlib
import statistics
import tempfile
import time

import crop_feeds
import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from semppl_keras import recipes
from semppl_keras.data.images.cache import decode_cached
from semppl_keras.data.images.sources import open_images

tf.get_logger().setLevel("ERROR")

CLASSES, LABELLED = 10, 100
TURNS = 3
CROP_SIZE, CROP_BATCH = 224, 32
# Images per second that an accelerator trains on.
ACCELERATOR = 2000
CORES = (4, 8, 16, 32)


def write_photos(folder, count, width, height):
    """Files with as much detail as photographs have: about a bit per pixel."""
    generator = np.random.default_rng(0)
    for index in range(count):
        coarse = generator.integers(0, 256, (height // 16, width // 16, 3), "uint8")
        image = Image.fromarray(coarse).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        fine = generator.normal(0, 3, (height, width, 1))
        pixels = np.clip(np.asarray(image) + fine, 0, 255).astype("uint8")
        Image.fromarray(pixels).save(folder / f"{index:05}.jpg", quality=85)


def of_keras(folder, size, batch_size):
    return keras.utils.image_dataset_from_directory(
        folder,
        labels=None,
        image_size=(size, size),
        crop_to_aspect_ratio=True,
        batch_size=batch_size,
        shuffle=False,
        verbose=False,
    )


def read_ours(folder, size):
    images, _ = decode_cached(open_images(folder, "unlabelled"), size, 3, fit="crop")
    return images


def read_keras(folder, size, batch_size):
    for _ in of_keras(folder, size, batch_size):
        pass


def timed(function):
    """(seconds, CPU seconds of all threads) of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def in_turn(functions, turns=TURNS):
    """Medians of (seconds, CPU seconds) of each function, by name."""
    for function in functions.values():
        function()
    taken = {name: [] for name in functions}
    for _ in range(turns):
        for name, function in functions.items():
            taken[name].append(timed(function))
    return {
        name: tuple(statistics.median(values) for values in zip(*pairs, strict=True))
        for name, pairs in taken.items()
    }


def tell_reading(folder, count, size, batch_size):
    """Prints what reading costs; returns our seconds for all files."""
    print(f"reading {count} files of JPEG to {size} x {size} pixels")
    taken = in_turn(
        {
            "semppl_keras": lambda: read_ours(folder, size),
            "Keras": lambda: read_keras(folder, size, batch_size),
        }
    )
    for name, (wall, cpu) in taken.items():
        print(
            f"  {name:<14}{count / cpu:>8.0f} images/s and core"
            f"{count / wall:>9.0f} images/s"
        )
    ratio = taken["Keras"][1] / taken["semppl_keras"][1]
    print(f"  semppl_keras takes 1/{ratio:.1f} of Keras' CPU time")
    return taken["semppl_keras"][0]


def tell_augmenting(images, recipe):
    views = recipe.make_views()
    seed = keras.random.SeedGenerator(0)
    augment = tf.function(lambda batch: views(batch, seed=seed), jit_compile=True)
    batch = tf.constant(images[: recipe.batch_size])

    def run():
        for _ in range(10):
            augment(batch)["large"].numpy()

    _, cpu = in_turn({"views": run})["views"]
    print(
        f"augmenting, {views.num_large} views of {views.large_size} pixels each\n"
        f"  semppl_keras  {10 * len(batch) / cpu:>8.0f} images/s and core"
    )


class EpochSeconds(keras.callbacks.Callback):
    """How long the last epoch took: what `fit` does before and after is not in it."""

    def on_epoch_begin(self, epoch, logs=None):
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self._begun


def tell_waiting(folder, images, recipe, read_seconds):
    steps = -(-len(images) // recipe.batch_size)
    generator = np.random.default_rng(0)
    labelled = (
        generator.integers(0, 256, (LABELLED, *images.shape[1:]), "uint8"),
        np.arange(LABELLED) % CLASSES,
    )
    model = recipe.make_model(3, CLASSES, steps_per_epoch=steps, seed=0)
    batch = tf.constant(images[: recipe.batch_size])
    feeds = {
        "one batch, over and over": tf.data.Dataset.from_tensors(batch)
        .repeat(steps)
        .apply(tf.data.experimental.assert_cardinality(steps)),
        "semppl_keras": images,
        "Keras": of_keras(folder, images.shape[1], recipe.batch_size),
    }
    timer, taken = EpochSeconds(), {name: [] for name in feeds}
    for _ in range(TURNS):
        for name, feed in feeds.items():
            model.fit(
                feed,
                labelled,
                # The first one traces, and fills what is drawn ahead.
                epochs=2,
                batch_size=recipe.batch_size,
                labelled_batch_size=recipe.labelled_batch_size,
                callbacks=[timer],
                verbose=0,
            )
            taken[name].append(timer.seconds)
    seconds = {name: statistics.median(values) for name, values in taken.items()}
    at_best = seconds["one batch, over and over"]
    print(f"an epoch of {steps} steps with {recipe.backbone[0]}, decoded images kept")
    for name, wall in seconds.items():
        print(
            f"  {name:<26}{1000 * wall / steps:>7.0f} ms/step"
            f"{max(0.0, 1 - at_best / wall):>8.0%} of it waiting"
        )
    epochs = read_seconds / seconds["semppl_keras"]
    print(f"  semppl_keras decodes once before: as long as {epochs:.2f} epochs")


def tell_crops(paths):
    """Prints what random crops cost, and how long an accelerator waits for them."""
    feeds = crop_feeds.feeds()
    missing = [name for name, feed in feeds.items() if feed is None]
    installed = {name: feed for name, feed in feeds.items() if feed is not None}

    def read(feed):
        # A DataLoader without workers, so that it spends its time in this process.
        workers = 0 if feed is crop_feeds.of_torchvision else 1
        for _ in feed(paths, CROP_SIZE, CROP_BATCH, workers):
            pass

    taken = in_turn(
        {name: lambda feed=feed: read(feed) for name, feed in installed.items()}
    )
    cores = len(os.sched_getaffinity(0))
    waited = {
        name: waiting_share(feed(paths, CROP_SIZE, CROP_BATCH, cores))
        for name, feed in installed.items()
    }
    print(
        f"random crops of {CROP_SIZE} px; waiting of an accelerator of {ACCELERATOR:,} "
        f"images/s with {', '.join(map(str, CORES))} cores (computed), and here, with "
        f"{cores} (measured)"
    )
    for name, (_, cpu) in taken.items():
        rate = len(paths) / cpu
        shares = [max(0.0, 1 - count * rate / ACCELERATOR) for count in CORES]
        print(
            f"  {name:<30}{rate:>6.0f} images/s and core"
            + "".join(f"{share:>6.0%}" for share in shares)
            + f"{waited[name]:>6.0%}"
        )
    for name in missing:
        print(f"  {name:<30}is not installed")


def waiting_share(batches):
    """Of the time of an accelerator that is made up, the share that it waits.

    The first batch, for which everything waits, is not in it.
    """
    batches = iter(batches)
    next(batches)
    begun = time.perf_counter()
    working = 0.0
    for batch in batches:
        start = time.perf_counter()
        time.sleep(len(batch) / ACCELERATOR)
        working += time.perf_counter() - start
    return 1 - working / (time.perf_counter() - begun)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--width", type=int, default=1600)
    parser.add_argument("--height", type=int, default=1200)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--backbone", choices=list(recipes.BACKBONES), default="small")
    parser.add_argument("--crops", action="store_true", help="random crops instead")
    arguments = parser.parse_args()
    recipe = recipes.own_images(arguments.image_size, arguments.backbone, epochs=1)
    recipe = dataclasses.replace(
        recipe, batch_size=min(recipe.batch_size, arguments.images)
    )
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_photos(folder, arguments.images, arguments.width, arguments.height)
        sizes = [path.stat().st_size for path in folder.iterdir()]
        print(
            f"{len(sizes)} files of {arguments.width} x {arguments.height} pixels, "
            f"{np.mean(sizes) / 1000:.0f} kB each; TensorFlow {tf.__version__}, "
            f"{len(os.sched_getaffinity(0))} cores"
        )
        if arguments.crops:
            tell_crops(sorted(folder.iterdir()))
            return
        read_seconds = tell_reading(
            folder, len(sizes), arguments.image_size, recipe.batch_size
        )
        images = read_ours(folder, arguments.image_size)
        tell_augmenting(images, recipe)
        tell_waiting(folder, images, recipe, read_seconds)


if __name__ == "__main__":
    main()
