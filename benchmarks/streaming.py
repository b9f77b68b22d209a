"""What a pass over more images than memory holds takes: memory, and time waited.

    python benchmarks/streaming.py --images 200000

JPEG files are made up and streamed as `semppl train --cache none` streams them, a tenth
labelled, in the batches of `fit` and in the order of a seed. Resident memory is told
before they are listed, once they are, and at each tenth of the pass: what it grows by
during the pass is what a training would grow by with its length.

A step takes `--step-ms`, in which the next batches are read. Told is how long the pass
would take without reading anything, how long it takes, and for how much of that the
step has waited: without reading ahead it would be all the time that reading takes.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import argparse
import io
import pathlib
import tempfile
import time

import numpy as np
from PIL import Image

from semppl_keras.data import load_own_images
from semppl_keras.data.checks import ImageSpec
from semppl_keras.data.feed.feed import Feed
from semppl_keras.data.feed.sources import make_source

# Files in a folder; as many contents are made up.
IN_FOLDER = 1000
CLASSES = 10
PARTS = 10


def write_images(folder, count, side):
    """`many/FOLDER/NUMBER.jpg`, and every tenth in a table of labels: its path."""
    generator = np.random.default_rng(0)
    contents = []
    for _ in range(min(count, IN_FOLDER)):
        coarse = generator.integers(0, 256, (4, 4, 3), "uint8")
        image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        image.save(buffer, "jpeg", quality=85)
        contents.append(buffer.getvalue())
    rows = ["path,label"]
    for number in range(count):
        path = folder / "many" / f"{number // IN_FOLDER:04}" / f"{number:07}.jpg"
        if number % IN_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(contents[number % len(contents)])
        if number % 10 == 0:
            rows.append(f"{path},{number // 10 % CLASSES}")
    table = folder / "labels.csv"
    table.write_text("\n".join(rows), encoding="utf-8")
    return table


def resident_megabytes():
    """What of the process is in memory, of Linux."""
    for line in (
        pathlib.Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    ):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status must tell VmRSS.")


def make_feed(data, batch_size, seed=0):
    """As `fit` makes it, of whatever backend."""
    spec = ImageSpec(CLASSES, (data.x_train.shape[-1],), value_range=(0, 255))
    labelled = (data.x_labelled, data.y_labelled)
    few = max(1, batch_size // 10)
    many = batch_size - few
    steps = -(-len(data.unlabelled_indices) // many)
    return Feed(
        make_source("unlabelled", data.x_unlabelled, spec, labelled=False, seed=seed),
        make_source("labelled", labelled, spec, labelled=True, seed=seed),
        many,
        few,
        steps,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--file-side", type=int, default=48, help="pixels of a file")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--step-ms", type=float, default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        folder = pathlib.Path(folder)
        table = write_images(folder, options.images, options.file_side)
        print(f"{options.images:,} files written in {time.monotonic() - begun:.1f} s")
        print(f"before they are listed: {resident_megabytes():.0f} MB")
        begun = time.monotonic()
        data = load_own_images(
            folder / "many", table, image_size=options.image_size, cache="none"
        )
        feed = make_feed(data, options.batch_size)
        print(
            f"listed in {time.monotonic() - begun:.1f} s: {resident_megabytes():.0f} "
            f"MB; decoded they would take {data.x_train.nbytes / 1e6:.0f} MB"
        )
        steps, memory = feed.steps_per_epoch, []
        told = {max(1, part * steps // PARTS) for part in range(1, PARTS + 1)}
        begun = time.monotonic()
        for step in range(1, steps + 1):
            feed[step - 1]
            time.sleep(options.step_ms / 1000)
            if step in told:
                memory.append(resident_megabytes())
                print(f"  step {step:,} of {steps:,}: {memory[-1]:.0f} MB")
        seconds = time.monotonic() - begun
        print(f"from a tenth of the pass to its end: {memory[-1] - memory[0]:+.0f} MB")
        print(
            f"{steps:,} steps of {options.step_ms:g} ms: "
            f"{steps * options.step_ms / 1000:.1f} s without reading, {seconds:.1f} s "
            f"in all, of which {data.x_train.seconds_waited:.1f} s were waited; "
            f"{steps * options.batch_size / seconds:,.0f} images/s"
        )
        print(f"unreadable: {len(data.x_train.skipped)}")


if __name__ == "__main__":
    main()
