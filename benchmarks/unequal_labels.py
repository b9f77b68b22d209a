"""What a graph over patches is brought to where classes are unequal.

Its figures: docs/results/labels.md.

    KERAS_BACKEND=torch python benchmarks/unequal_labels.py digits --seeds 20 21 22 23
    KERAS_BACKEND=torch python benchmarks/unequal_labels.py fashion-mnist \
        --data fashion_mnist.npz --seeds 10 11 12 13

Like the classifier *patches* of a run: patches and gradients, a graph over
them, kernel ridge regression on what the labels become. Labels are unequal, or the
images are, or both; the graph is brought to the shares of the labels, to equal ones, to
what it says itself (`spread_labels_alike`: what a run does), or to the true ones.
Accuracy and balanced accuracy in percent, mean over the seeds.
"""

import argparse

import keras
import numpy as np

from semppl_keras.backbones.patch_network import fit_patch_network, usual_patches
from semppl_keras.data import load_digits
from semppl_keras.evaluation import balanced_accuracy
from semppl_keras.evaluation.kernel_ridge import KernelRidge
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.propagation import spread_labels, spread_labels_alike
from semppl_keras.recipes.ending import Combination

CLASSES = 10
# Of Fashion-MNIST: images to learn from, of these to find patches in, to test on.
LEARNED, FITTED, TESTED = 10_000, 5_000, 5_000
HOW = Combination()


class Task:
    """Features of images to learn from and to test on, and their classes.

    Args:
        images: `(N, h, w, 1)` in [0, 1], to learn from; `fitted` of them tell the
            patches.
        labels: `(N,)`.
        tested, test_labels: the same of those to test on.
        fitted: how many.
        seed: of the dictionaries, and of all draws.
    """

    def __init__(self, images, labels, tested, test_labels, fitted, seed):
        sizes, grids = usual_patches(images.shape[1])
        network = fit_patch_network(
            images[:fitted], sizes=sizes, grids=grids, entries=HOW.entries, seed=seed
        )
        self.rows, self.test = (_unit(network, x) for x in (images, tested))
        self.labels, self.test_labels = labels, test_labels
        self.draw = np.random.default_rng(seed)

    def some_of(self, labels, counts):
        """Rows of some labels, so many of each class, drawn."""
        return np.concatenate(
            [
                self.draw.permutation(np.flatnonzero(labels == label))[:count]
                for label, count in enumerate(counts)
            ]
        )

    def as_they_come(self, among, count):
        """So many rows, and one of each class that they lack."""
        drawn = self.draw.permutation(among)[:count]
        lacking = np.setdiff1d(np.arange(CLASSES), self.labels[drawn])
        others = [
            self.draw.permutation(among[self.labels[among] == label])[:1]
            for label in lacking
        ]
        return np.concatenate([drawn, *others])

    def measured(self, among, labelled, tested):
        """By what the graph is brought to, accuracy and balanced accuracy in percent.

        Args:
            among: the rows there are.
            labelled: those whose label is known.
            tested: rows of the images to test on.
        """
        order = np.concatenate([labelled, np.setdiff1d(among, labelled)])
        rows, truth = self.rows[order], self.labels[order]
        labels = np.where(np.arange(len(order)) < len(labelled), truth, -1)
        graph = NeighbourGraph(
            rows,
            labels >= 0,
            neighbours=HOW.neighbours,
            power=HOW.power,
            max_exact=len(rows),
        )
        alpha = HOW.alpha(len(labelled) / CLASSES)
        generator = np.random.default_rng(0)
        others = generator.permutation(len(rows) - len(labelled)) + len(labelled)
        kept = np.concatenate([np.arange(len(labelled)), others])[: HOW.rows]
        ridge = KernelRidge(rows[kept], HOW.width, HOW.penalty)

        def brought_to(prior):
            return spread_labels(graph, labels, CLASSES, alpha=alpha, class_prior=prior)

        found = {
            "shares of the labels": brought_to(_shares(labels[labels >= 0])),
            "equal": brought_to(np.full(CLASSES, 1 / CLASSES)),
            "what it says itself": spread_labels_alike(
                graph, labels, CLASSES, alpha=alpha
            ),
            "the true ones": brought_to(_shares(truth)),
        }
        expected = self.test_labels[tested]
        results = {}
        for name, shares in found.items():
            said = ridge.fit(shares[kept]).predict_proba(self.test[tested])
            predicted = said.argmax(axis=1)
            balanced = balanced_accuracy(predicted, expected, CLASSES)
            results[name] = 100 * np.mean(predicted == expected), 100 * balanced
        return results


def _unit(network, images):
    parts = [
        keras.ops.convert_to_numpy(network(images[start : start + 500]))
        for start in range(0, len(images), 500)
    ]
    rows = np.concatenate(parts)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(lengths, 1e-12)).astype("float32")


def _shares(labels):
    counts = np.bincount(labels, minlength=CLASSES)
    return counts / counts.sum()


def digits(seed):
    """By situation, what `Task.measured` takes, and the `Task`."""
    few = load_digits(10, seed)
    images, tested = (np.float32(x) / 255 for x in (few.x_train, few.x_test))
    task = Task(images, few.y_train, tested, few.y_test, len(images), seed)
    everything, test = np.arange(len(few.y_train)), np.arange(len(few.y_test))
    counts = {f"{count} of each": [count] * CLASSES for count in (1, 4, 10)}
    counts["30, 1, eight times 4"] = task.draw.permutation([30, 1] + [4] * 8)
    for name, of_each in counts.items():
        yield name, task, (everything, task.some_of(few.y_train, of_each), test)


def fashion_mnist(seed, data):
    """The same of an .npz with x_train and y_train."""
    with np.load(data) as archive:
        images, labels = archive["x_train"], archive["y_train"]
    pool = np.random.default_rng(seed).permutation(len(images))
    pool = pool[: LEARNED + TESTED]
    images = images[pool].reshape(len(pool), *images.shape[1:3], 1)
    images, labels = np.float32(images) / 255, labels[pool].astype("int64")
    learned = min(LEARNED, 2 * len(pool) // 3)
    fitted = min(FITTED, learned)
    ours, theirs = labels[:learned], labels[learned:]
    task = Task(images[:learned], ours, images[learned:], theirs, fitted, seed)
    everything, test = np.arange(len(ours)), np.arange(len(theirs))
    counts = {f"{count} of each": [count] * CLASSES for count in (1, 4, 10, 60)}
    for name, of_each in counts.items():
        yield name, task, (everything, task.some_of(ours, of_each), test)
    of_each = task.draw.permutation([60, 3] + [10] * 8)
    yield "60, 3, eight times 10", task, (everything, task.some_of(ours, of_each), test)
    yield (
        "100 as they come",
        task,
        (everything, task.as_they_come(everything, 100), test),
    )
    for name, least in (("10 to 1", 0.1), ("3 to 1", 0.33)):
        shares = task.draw.permutation(np.geomspace(least, 1, CLASSES))
        # So many are there of the least frequent class.
        among = task.some_of(ours, (0.09 * learned * shares).astype(int))
        tested = task.some_of(theirs, (0.09 * len(theirs) * shares).astype(int))
        come = task.as_they_come(among, 100)
        yield f"{name}, 100 as they come", task, (among, come, tested)
        drawn = among[task.some_of(ours[among], [10] * CLASSES)]
        yield f"{name}, 10 of each", task, (among, drawn, tested)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=("digits", "fashion-mnist"))
    parser.add_argument("--data", help="the .npz of fashion-mnist")
    parser.add_argument("--seeds", type=int, nargs="+", default=[20])
    arguments = parser.parse_args()
    if (arguments.data is None) != (arguments.dataset == "digits"):
        parser.error("--data is the .npz of fashion-mnist: that needs it, digits not")
    found = {}
    for seed in arguments.seeds:
        situations = digits(seed)
        if arguments.dataset == "fashion-mnist":
            situations = fashion_mnist(seed, arguments.data)
        for situation, task, rows in situations:
            for name, values in task.measured(*rows).items():
                found.setdefault(situation, {}).setdefault(name, []).append(values)
            print(f"seed {seed}: {situation}", flush=True)
    names = list(next(iter(found.values())))
    print(f"\n| the graph is brought to | {' | '.join(found)} |")
    print("| --- |" + " --- |" * len(found))
    for name in names:
        means = [np.mean(by_name[name], axis=0) for by_name in found.values()]
        cells = [f"{accuracy:.1f} / {balanced:.1f}" for accuracy, balanced in means]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
