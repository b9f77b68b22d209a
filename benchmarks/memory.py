"""What the labelled queue and its votes cost: CPU seconds and memory, on one backend.

    KERAS_BACKEND=torch python benchmarks/memory.py
    KERAS_BACKEND=jax python benchmarks/memory.py --batch 4096

A queue of C = 81,920 entries under L = 4 views, D = 256, of 1,000 classes, full: the
votes of its entries on B images under 4 views, k = 1, and writing a labelled batch to
it, as one queue and as one for each class. What compiles is compiled before it is
timed. CPU seconds are those of all threads, medians. Memory is the peak of the process
less what it held when the queue and the batch were there: of what compiles, the
compiler's needs too, and of the queue the copy that is written to. It is read from
/proc: Linux.
"""

import argparse
import os
import pathlib
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import ops

from semppl_keras.memory import enqueue, knn_votes

VIEWS = 4


def unit(generator, *shape):
    rows = generator.standard_normal(shape, "float32")
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    return ops.convert_to_tensor(rows)


def compiled(function):
    """As a step runs it: compiled where the backend compiles."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    return function


def memory_in_mib(field):
    """VmRSS, held now, or VmHWM, the most since it was last reset."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def measured(function, arguments, turns):
    """Median CPU seconds of a call, and MiB at its peak."""
    function, taken = compiled(function), []
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    held = memory_in_mib("VmRSS")
    for _ in range(turns + 1):
        begun = time.process_time()
        # On JAX a result is there only when it is looked at.
        [ops.convert_to_numpy(ops.sum(part)) for part in function(*arguments)]
        taken.append(time.process_time() - begun)
    return statistics.median(taken[1:]), memory_in_mib("VmHWM") - held


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--labelled", type=int, default=512, help="images written")
    parser.add_argument("--capacity", type=int, default=81920)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    classes, generator = arguments.classes, np.random.default_rng(0)
    # Each entry lies where the queue of its class has it.
    labels = ops.arange(arguments.capacity, dtype="int32") % classes
    queue = unit(generator, VIEWS, arguments.capacity, arguments.dim)
    queries = unit(generator, VIEWS, arguments.batch, arguments.dim)
    new = unit(generator, VIEWS, arguments.labelled, arguments.dim)
    new_labels = ops.convert_to_tensor(
        generator.integers(0, classes, arguments.labelled).astype("int32")
    )
    at = {
        "one queue": ops.zeros((), "int32"),
        "one for each class": ops.zeros((classes,), "int32"),
    }
    print(
        f"{keras.backend.backend()}: queue of {arguments.capacity:,} entries under "
        f"{VIEWS} views, {arguments.dim} dimensions, {classes:,} classes, "
        f"{VIEWS * arguments.capacity * arguments.dim * 4 / 2**20:.0f} MiB"
    )
    found = {
        f"votes on {arguments.batch:,} images": measured(
            lambda *of: knn_votes(*of, 1, classes),
            (queries, queue, labels),
            arguments.turns,
        )
    }
    for name, position in at.items():
        found[f"writing {arguments.labelled:,} images, {name}"] = measured(
            enqueue, (queue, labels, position, new, new_labels), arguments.turns
        )
    for name, (seconds, mib) in found.items():
        print(f"  {name:<42}{1000 * seconds:>9.0f} ms{mib:>8.0f} MiB")


if __name__ == "__main__":
    main()
