"""Time and memory of SemPPL's votes and loss, against PyTorch with loops over pairs.

    pip install "semppl_keras[tensorflow,jax,torch]"
    python benchmarks/loss.py            # the comparison, and how both grow
    python benchmarks/loss.py --paper    # and the paper's size, some minutes

What is timed: pseudo-labels of B images under L = 4 large views by a queue of C
entries, the semantic positives fetched from it, the loss of V = 6 views with K = 10
negatives and P = 3 semantic positives, and its gradient by the online embeddings. The
yardstick, benchmarks/loss_yardstick.py, does it pair of views by pair of views; all
must agree with it. "products alone" are the similarities of all pairs in a single
product of matrices in PyTorch, which nobody can do without.

Each contender runs in a process of its own; they take turns, and a ratio is of
medians. Memory is the peak of the process less what it held when embeddings and queue
were there: of what compiles, the compiler's needs too. It is read from /proc: Linux.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

VIEWS, LARGE, NEGATIVES, DRAWS, CLASSES = 6, 4, 10, 3, 1000

OURS = ("tensorflow graph", "tensorflow XLA", "jax jit", "torch eager")
YARDSTICK, BY_IMAGE = "yardstick", "yardstick, images too"
PRODUCTS = "products alone"

COMPARED = {"batch": 512, "capacity": 10240, "dim": 256}
PAPER = {"batch": 4096, "capacity": 81920, "dim": 256}
GROWTH = [
    *({**COMPARED, "batch": batch} for batch in (128, 512, 2048)),
    *({**COMPARED, "capacity": capacity} for capacity in (2560, 40960)),
    *({**COMPARED, "dim": dim} for dim in (64, 1024)),
]


def inputs(batch, capacity, dim):
    """Views near their class' centre: online, target, memory, labels and draws."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLASSES, dim), "float32")

    def embeddings(num_views, labels):
        """Of one image the views resemble each other more than its class."""
        image = centres[labels] + rng.standard_normal((len(labels), dim), "float32")
        views = rng.standard_normal((num_views, len(labels), dim), "float32")
        views += image
        views /= np.sqrt(np.einsum("...d,...d->...", views, views))[..., None]
        return views

    of_image = rng.integers(0, CLASSES, batch)
    of_entry = rng.integers(0, CLASSES, capacity)
    others = rng.integers(1, batch, (batch, NEGATIVES))
    return {
        "online": embeddings(VIEWS, of_image),
        "target": embeddings(LARGE, of_image),
        "memory": embeddings(LARGE, of_entry),
        "labels": of_entry.astype("int32"),
        "negatives": ((np.arange(batch)[:, None] + others) % batch).astype("int32"),
        "entries": rng.integers(0, capacity, (DRAWS, batch)).astype("int32"),
        "found": rng.random(batch) < 0.8,
    }


# The paper's settings, which the yardstick has built in.
WEIGHTS = {
    "temperature": 0.2,
    "contrastive_weight": 0.3,
    "semantic_weight": 0.2,
    "invariance_weight": 5.0,
}


def ours(k):
    """A function of `inputs`' values to labels, confidences and the loss."""
    from keras import ops

    from semppl_keras.losses import semppl_loss
    from semppl_keras.memory import knn_votes

    def votes_and_loss(online, target, memory, labels, negatives, entries, found):
        votes = knn_votes(online[:LARGE], memory, labels, k, CLASSES)
        positive = ops.swapaxes(ops.take(memory, entries, axis=1), 0, 1)
        return (
            *votes,
            semppl_loss(online, target, negatives, positive, found, **WEIGHTS)["loss"],
        )

    return votes_and_loss


def yardstick(k, by_image):
    import loss_yardstick

    votes_of = (
        loss_yardstick.knn_votes_by_image if by_image else loss_yardstick.knn_votes
    )

    def votes_and_loss(online, target, memory, labels, negatives, entries, found):
        votes = votes_of(online[:LARGE].detach(), memory, labels, k, CLASSES)
        positive = memory[:, entries].swapaxes(0, 1)
        loss = loss_yardstick.semppl_loss(online, target, negatives, positive, found)
        return (*votes, loss)

    return votes_and_loss


def with_gradient(contender, k, arrays):
    """A function without arguments: labels, confidences, loss, gradient in NumPy."""
    if contender.startswith("tensorflow"):
        import tensorflow as tf

        function = ours(k)

        @tf.function(jit_compile=contender.endswith("XLA"), autograph=False)
        def evaluate(online, *rest):
            with tf.GradientTape() as tape:
                tape.watch(online)
                *votes, loss = function(online, *rest)
            return *votes, loss, tape.gradient(loss, online)

        tensors = [tf.constant(array) for array in arrays]
        return lambda: [value.numpy() for value in evaluate(*tensors)]
    if contender.startswith("jax"):
        import jax

        function = ours(k)

        def loss_of(*tensors):
            *votes, loss = function(*tensors)
            return loss, votes

        evaluate = jax.jit(jax.value_and_grad(loss_of, has_aux=True))
        tensors = [jax.numpy.asarray(array) for array in arrays]

        def run():
            (loss, votes), gradient = evaluate(*tensors)
            return [np.asarray(value) for value in (*votes, loss, gradient)]

        return run

    import torch

    online, *rest = map(torch.from_numpy, arrays)
    if contender == PRODUCTS:
        queries, memory = online[:LARGE].flatten(0, 1), rest[1].flatten(0, 1)
        return lambda: [queries @ memory.T]
    if contender.startswith("torch"):
        function = ours(k)
    else:
        function = yardstick(k, contender == BY_IMAGE)
        rest = [value if value.is_floating_point() else value.long() for value in rest]
        rest[-1] = rest[-1].bool()
    online.requires_grad_()

    def run():
        online.grad = None
        *votes, loss = function(online, *rest)
        loss.backward()
        return [value.detach().numpy() for value in (*votes, loss, online.grad)]

    return run


def memory_in_mib(field):
    """VmRSS, held now, or VmHWM, the most since it was last reset."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def work(contender, size, k, kept):
    """A contender: its first run, whose results it keeps, then one for each line."""
    arrays = list(inputs(**size).values())
    run = with_gradient(contender, k, arrays)
    # JAX and TensorFlow copied them; torch shares their memory.
    del arrays
    held = memory_in_mib("VmRSS")
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    start = time.perf_counter()
    results = run()
    first = time.perf_counter() - start
    peak = memory_in_mib("VmHWM")
    if kept:
        np.savez(kept, *results)
    del results
    print(json.dumps({"first": first, "MiB": peak - held}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)


class Contender:
    """A process that runs once whenever it is asked to."""

    def __init__(self, name, size, k, kept=None):
        backend = name.split()[0] if name in OURS else "torch"
        settings = json.dumps({"contender": name, "size": size, "k": k, "kept": kept})
        root = pathlib.Path(__file__).resolve().parents[1]
        path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work", settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if "VERBOSE" in os.environ else subprocess.DEVNULL,
            text=True,
            env={
                **os.environ,
                "KERAS_BACKEND": backend,
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "PYTHONPATH": path,
            },
        )
        self.name = name
        self.first = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} died: run with VERBOSE=1 to see why.")
        return json.loads(line)

    def seconds(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.answer()["seconds"]

    def close(self):
        self.process.communicate()


def check(results, expected):
    """Whether labels, confidences, loss and gradient are the yardstick's."""
    labels, confidences, loss, gradient = results
    same = labels == expected[0]
    # Two sums of similarities may be equal but for rounding.
    assert same.mean() > 0.998, f"{(~same).sum()} labels differ"
    np.testing.assert_allclose(confidences[same], expected[1][same], rtol=1e-5)
    np.testing.assert_allclose(loss, expected[2], rtol=1e-4)
    scale = np.abs(expected[3]).max()
    np.testing.assert_allclose(gradient / scale, expected[3] / scale, atol=1e-4)


def measure(names, size, k, rounds, checked=True):
    """Median and least seconds and peak MiB of each contender, which take turns.

    The one with a loop over images takes no turn after its first run: it is far
    behind, and has nothing to compile.
    """
    with tempfile.TemporaryDirectory() as folder:
        kept = {name: str(pathlib.Path(folder, f"{name}.npz")) for name in names}
        contenders = []
        try:
            for name in names:
                contenders.append(Contender(name, size, k, kept[name]))
            if checked and YARDSTICK in names:
                results = {
                    name: list(np.load(path).values()) for name, path in kept.items()
                }
                for name in set(names) - {YARDSTICK, PRODUCTS}:
                    check(results[name], results[YARDSTICK])
            seconds = {c.name: [] for c in contenders}
            for _ in range(rounds):
                for contender in contenders:
                    if contender.name != BY_IMAGE:
                        seconds[contender.name].append(contender.seconds())
            for contender in contenders:
                # Also where no turn was asked for: the first run, with compilation.
                seconds[contender.name] = seconds[contender.name] or [
                    contender.first["first"]
                ]
        finally:
            for contender in contenders:
                contender.close()
    return {
        c.name: {
            "seconds": round(statistics.median(seconds[c.name]), 4),
            "least": round(min(seconds[c.name]), 4),
            "MiB": round(c.first["MiB"]),
        }
        for c in contenders
    }


def show(title, measured):
    print(
        f"\n{title}\n  {'':22} seconds (least)        MiB  the yardstick takes",
        flush=True,
    )
    unit = measured.get(YARDSTICK)
    for name, result in measured.items():
        line = "  {:22} {seconds:7.3f} ({least:7.3f}) {MiB:9d}".format(name, **result)
        if unit:
            median, least = (unit[key] / result[key] for key in ("seconds", "least"))
            line += f"  {median:6.2f} ({least:6.2f}) times as long"
        print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--paper", action="store_true", help="also the paper's size")
    parser.add_argument("--no-growth", action="store_true")
    parser.add_argument("--out", type=pathlib.Path, help="a JSON file of the results")
    parser.add_argument("--work", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(**arguments.work)
        return

    found = {}

    def measured(title, names, size, k, rounds):
        found[title] = measure(names, size, k, rounds)
        show(title, found[title])

    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    for k in (1, 10):
        names = [*OURS, YARDSTICK, BY_IMAGE, PRODUCTS]
        title = "B={batch} C={capacity} D={dim} k={k}".format(**COMPARED, k=k)
        measured(title, names, COMPARED, k, arguments.rounds)
    if not arguments.no_growth:
        for size in GROWTH:
            title = "growth: B={batch} C={capacity} D={dim} k=1".format(**size)
            measured(title, [*OURS, YARDSTICK], size, 1, min(3, arguments.rounds))
    if arguments.paper:
        for name in [*OURS, YARDSTICK]:
            # One by one, as they would not fit side by side; the first run is all.
            title = f"{name}: B={{batch}} C={{capacity}} D={{dim}} k=1".format(**PAPER)
            measured(title, [name], PAPER, 1, 0)
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
