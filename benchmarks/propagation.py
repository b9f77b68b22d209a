"""Labels propagated over many made-up features: neighbours exact, approximate, few.

    pip install "semppl_keras[torch,neighbours]"
    KERAS_BACKEND=torch python benchmarks/propagation.py --rows 200000

The features are unit vectors of 100 classes in 128 dimensions, each class eight heaps
that overlap with those of others; ten rows of each class have a label. Joined are all
rows, compared with each other; all rows, their neighbours found by faiss; and 20,000,
to which the others are attached, as `propagate_labels` does without faiss. Seconds are
the processor's, of all threads, and memory the peak of the process less what it held
when the features were there, read from /proc: Linux. Each way runs in a process of its
own. What of the nearest neighbours is found is told of a thousand rows, and how many of
all of them, and of the lost ones, are of the class of the row.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

from semppl_keras.evaluation import propagate_labels
from semppl_keras.evaluation.approximate_neighbours import approximate_neighbours
from semppl_keras.evaluation.counting import Count

HEAPS, LABELS, NEIGHBOURS, LOOKED_AT = 8, 10, 10, 1000
# By their names, what `propagate_labels` is given of how many rows there are.
WAYS = {
    "exact": lambda count: {"max_exact": count, "approximate": False},
    "approximate": lambda count: {"approximate": True},
    "20,000 joined": lambda count: {"max_exact": 20_000, "approximate": False},
}


def made_up(count, classes, dimensions, noise):
    """Features `(N, F)`, their classes, and the labels that are known."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((classes, dimensions)).astype("float32")
    truth = generator.integers(0, classes, count)
    heaps = generator.standard_normal((classes, HEAPS, dimensions)).astype("float32")
    rows = centres[truth] + 1.5 * heaps[truth, generator.integers(0, HEAPS, count)]
    rows += noise * generator.standard_normal((count, dimensions), dtype="float32")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels = np.full(count, -1)
    for label in range(classes):
        labels[np.flatnonzero(truth == label)[:LABELS]] = label
    return rows, truth, labels


def memory_in_mib(field):
    """VmRSS, held now, or VmHWM, the most since it was last reset."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def found_shares(rows, truth):
    """Which share of the nearest neighbours of some rows faiss finds, and of what share
    of all of them, and of those that it does not find, the class is the row's own."""
    nearest, _ = approximate_neighbours(rows, NEIGHBOURS, Count("rows", len(rows)))
    looked_at = np.random.default_rng(1).permutation(len(rows))[:LOOKED_AT]
    similar = rows[looked_at] @ rows.T
    similar[np.arange(len(looked_at)), looked_at] = -np.inf
    expected = np.argpartition(-similar, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    pairs = zip(expected, nearest[looked_at], strict=True)
    found = np.stack([np.isin(*pair) for pair in pairs])
    alike = truth[expected] == truth[looked_at][:, None]
    lost = float(alike[~found].mean()) if not found.all() else None
    return {"found": float(found.mean()), "alike": float(alike.mean()), "lost": lost}


def work(way, shape):
    """Prints what one way costs and gives, as JSON."""
    rows, truth, labels = made_up(**shape)
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    held, begun = memory_in_mib("VmRSS"), time.process_time()
    shares = propagate_labels(
        rows, labels, shape["classes"], neighbours=NEIGHBOURS, **WAYS[way](len(rows))
    )
    seconds = time.process_time() - begun
    peak = memory_in_mib("VmHWM") - held
    right = shares.argmax(axis=1)[labels < 0] == truth[labels < 0]
    told = {"seconds": seconds, "MiB": peak, "accuracy": float(right.mean())}
    if way == "approximate":
        told.update(found_shares(rows, truth))
    print(json.dumps(told))


def in_its_own_process(way, shape):
    root = pathlib.Path(__file__).resolve().parents[1]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    finished = subprocess.run(
        [sys.executable, __file__, "--work", json.dumps({"way": way, "shape": shape})],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(finished.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--noise", type=float, default=2.6)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--work", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(**arguments.work)
        return
    shape = {
        "count": arguments.rows,
        "classes": arguments.classes,
        "dimensions": arguments.dimensions,
        "noise": arguments.noise,
    }
    print("{count:,} rows, {classes} classes, {dimensions} dimensions".format(**shape))
    for way in arguments.ways:
        told = in_its_own_process(way, shape)
        found = ""
        if "found" in told:
            found = f", {told['found']:.1%} of the nearest found"
        if told.get("lost") is not None:
            found += (
                f"; of one class {told['alike']:.0%}, of the lost {told['lost']:.0%}"
            )
        print(
            f"  {way:<16}{told['seconds']:>9.1f} s{told['MiB']:>8.0f} MiB"
            f"{told['accuracy']:>8.1%} right{found}",
            flush=True,
        )


if __name__ == "__main__":
    main()
