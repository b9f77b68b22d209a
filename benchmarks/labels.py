"""Wrong labels and rare classes over frozen features: docs/results/labels.md.

    KERAS_BACKEND=torch python benchmarks/labels.py JOBS/clipart \
        --backbone lite0.keras --features clipart.npz --draws 0 1 2 3

A job is what benchmarks/pretrained.py takes, with `truth.csv`, the class of every
picture. Its pictures go through the backbone once: the features are kept in a file.
Wrong labels: a tenth of the labels of a draw becomes another class at random. Rare
classes: 60 labels of one class, 3 of another, those of the draw of the others.
"""

import argparse
import csv
import pathlib

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from semppl_keras.evaluation import balanced_accuracy
from semppl_keras.evaluation.class_frequencies import balanced_label_weights
from semppl_keras.evaluation.knn import unit_rows
from semppl_keras.evaluation.label_errors import (
    find_label_errors,
    held_out_probabilities,
    label_shares,
)
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.propagated_probe import (
    averaged_shares,
    propagated_probe,
    usual_whitening,
)
from semppl_keras.evaluation.unit_probe import USUAL_C, unit_probe

WRONG = 0.1
MANY, FEW = 60, 3
# Fewer images than these have no 60 labels to spare.
LEAST = 100


class Features:
    """Frozen features of a job.

    Args:
        path: The file that they are kept in.
    """

    def __init__(self, path):
        kept = np.load(path, allow_pickle=False)
        self.rows, self.labels = kept["features"], kept["labels"]
        self.test, self.test_labels = kept["test_features"], kept["test_labels"]
        self.draws = {
            int(name.removeprefix("draw_")): kept[name]
            for name in kept.files
            if name.startswith("draw_")
        }
        self.num_classes = int(self.labels.max()) + 1
        self.units = unit_rows(self.rows).astype("float64")
        self.units_of_test = unit_rows(self.test).astype("float64")
        self.graph = NeighbourGraph(
            self.rows,
            np.ones(len(self.rows), bool),
            whitening=usual_whitening(len(self.rows)),
        )

    def regression(self, rows, labels, **settings):
        """Plain logistic regression, as anybody would fit it."""
        settings = {"C": USUAL_C, "max_iter": 300, **settings}
        return LogisticRegression(**settings).fit(self.units[rows], labels)

    def of_all(self, rows, labels):
        everywhere = np.full(len(self.rows), -1)
        everywhere[rows] = labels
        return everywhere

    def propagation(self, rows, labels, shares=None):
        of_all = None
        if shares is not None:
            of_all = np.zeros((len(self.rows), self.num_classes))
            of_all[rows] = shares
        return propagated_probe(
            self.graph,
            self.rows,
            self.of_all(rows, labels),
            self.num_classes,
            label_shares=of_all,
        )

    def found(self, rows, labels, seed=0):
        """What `semppl check` finds."""

        def fit(known):
            of_all = self.of_all(rows, known)
            weights = balanced_label_weights(of_all)
            return averaged_shares(
                self.graph, self.rows, of_all, self.num_classes, weights
            )[rows]

        shares, judged = held_out_probabilities(
            fit, labels, self.num_classes, seed=seed
        )
        return find_label_errors(shares, labels, judged)

    def by_regression(self, rows, labels, seed=0):
        """Probabilities of plain logistic regression, each label hidden in turn."""

        def fit(known):
            model = self.regression(rows[known >= 0], known[known >= 0])
            shares = np.zeros((len(rows), self.num_classes))
            shares[:, model.classes_] = model.predict_proba(self.units[rows])
            return shares

        return held_out_probabilities(fit, labels, self.num_classes, seed=seed)[0]

    def measured(self, predicted):
        """Accuracy and balanced accuracy on the test images, in percent."""
        right = np.mean(predicted == self.test_labels)
        balanced = balanced_accuracy(predicted, self.test_labels, self.num_classes)
        return 100 * right, 100 * balanced


def wrong_labels(labels, num_classes, seed):
    """Labels of which a tenth is another class, and which these are."""
    generator = np.random.default_rng(seed)
    changed = generator.choice(len(labels), round(WRONG * len(labels)), replace=False)
    labels = labels.copy()
    labels[changed] += generator.integers(1, num_classes, len(changed))
    labels %= num_classes
    return labels, np.isin(np.arange(len(labels)), changed)


def unequal_labels(of, draw, seed):
    """Rows of which one class has many and another one few."""
    generator = np.random.default_rng([draw, seed])
    counts = np.bincount(of.labels)
    many = generator.choice(np.flatnonzero(counts >= LEAST))
    few = generator.choice(np.setdiff1d(np.arange(of.num_classes), many))
    chosen = []
    for label in range(of.num_classes):
        rows = of.draws[draw][of.labels[of.draws[draw]] == label]
        if label == few:
            rows = generator.permutation(rows)[:FEW]
        if label == many:
            others = np.setdiff1d(np.flatnonzero(of.labels == label), rows)
            others = generator.permutation(others)[: MANY - len(rows)]
            rows = np.concatenate([rows, others])
        chosen.append(rows)
    return np.concatenate(chosen)


def suspects_found(of, draw, seed):
    """By way of ranking, how many wrong labels are among the first twice as many."""
    rows = of.draws[draw]
    labels, wrong = wrong_labels(of.labels[rows], of.num_classes, [draw, seed])
    shares = of.by_regression(rows, labels)
    own = shares[np.arange(len(labels)), labels]
    others = shares.copy()
    others[np.arange(len(labels)), labels] = -1
    found = of.found(rows, labels)
    ways = {
        "regression, least sure of the label": own,
        "regression, margin": own - others.max(axis=1),
        "regression, confident learning": find_label_errors(shares, labels).scores,
        "semppl check": found.scores,
    }
    first = 2 * int(wrong.sum())
    return {
        name: wrong[np.argsort(scores, kind="stable")[:first]].sum()
        for name, scores in ways.items()
    }


def with_wrong_labels(of, draw, seed):
    """Accuracy by classifier, of right labels (no seed) or of partly wrong ones."""
    rows = of.draws[draw]
    labels = of.labels[rows]
    if seed is not None:
        labels, _ = wrong_labels(labels, of.num_classes, [draw, seed])
    doubted = label_shares(of.found(rows, labels))
    return {
        "logistic regression": of.measured(
            of.regression(rows, labels).predict(of.units_of_test)
        )[0],
        "propagation": of.measured(of.propagation(rows, labels).predict(of.test))[0],
        "propagation, semppl check --doubt": of.measured(
            of.propagation(rows, labels, doubted).predict(of.test)
        )[0],
    }


def with_unequal_labels(of, draw, seed):
    """Accuracy and balanced accuracy by classifier."""
    rows = unequal_labels(of, draw, seed)
    labels = of.labels[rows]
    plain = of.regression(rows, labels)
    even = of.regression(rows, labels, class_weight="balanced")
    probe = unit_probe(of.rows[rows], labels)
    return {
        "logistic regression": of.measured(plain.predict(of.units_of_test)),
        "logistic regression, balanced class weights": of.measured(
            even.predict(of.units_of_test)
        ),
        "frozen, logistic regression (adjusted logits)": of.measured(
            probe.predict(of.test)
        ),
        "frozen, propagation (every class counts alike)": of.measured(
            of.propagation(rows, labels).predict(of.test)
        ),
    }


def mean_of(measure, of, draw, seeds):
    """By name the mean over seeds."""
    several = [measure(of, draw, seed) for seed in seeds]
    return {
        name: np.mean([one[name] for one in several], axis=0) for name in several[0]
    }


def table(title, by_draw):
    """Markdown: each draw, mean and standard deviation over draws."""
    head = " | ".join(f"draw {draw}" for draw in by_draw)
    lines = [
        f"| {title} | {head} | mean | sd |",
        "| --- |" + " ---: |" * (len(by_draw) + 2),
    ]
    for name in next(iter(by_draw.values())):
        values = np.array([of_draw[name] for of_draw in by_draw.values()])
        spread = values.std(ddof=1) if len(values) > 1 else 0.0
        shown = [*values, values.mean(), spread]
        lines.append(f"| {name} | " + " | ".join(f"{v:.1f}" for v in shown) + " |")
    return "\n".join(lines)


def keep_features(job, backbone, path):
    """Runs the pictures of a job through a backbone, once."""
    from semppl_keras.backbones import pretrained
    from semppl_keras.data import load_own_images
    from semppl_keras.networks import ImageEmbedder
    from semppl_keras.views import MultiCrop

    network = pretrained(backbone)
    size = network.input_shape[1] or 224
    data = load_own_images(
        job / "pictures",
        job / "truth.csv",
        test=job / "held_out.csv",
        image_size=size,
    )
    embedder = ImageEmbedder(network, MultiCrop(1, 0, size))
    names = [data.train_names[index] for index in data.labelled_indices]
    places = {pathlib.Path(name).resolve(): at for at, name in enumerate(names)}
    draws = {}
    for labels in sorted(job.glob("labels_*.csv")):
        with labels.open(newline="") as file:
            listed = [row["path"] for row in csv.DictReader(file)]
        rows = [places[(job / name).resolve()] for name in listed]
        draws[f"draw_{labels.stem.removeprefix('labels_')}"] = np.array(rows)
    np.savez(
        path,
        features=embedder.predict(data.x_labelled, verbose=0),
        labels=data.y_labelled,
        test_features=embedder.predict(data.x_test, verbose=0),
        test_labels=data.y_test,
        **draws,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("job", type=pathlib.Path)
    parser.add_argument("--backbone", help="as semppl train takes it")
    parser.add_argument("--features", type=pathlib.Path, default="features.npz")
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--seeds", type=int, default=3, help="of each draw")
    arguments = parser.parse_args()
    if not arguments.features.exists():
        keep_features(arguments.job, arguments.backbone, arguments.features)
    of, seeds = Features(arguments.features), range(arguments.seeds)
    with threadpool_limits(1):
        for title, measure, over in (
            ("wrong labels found", suspects_found, seeds),
            ("accuracy, right labels", with_wrong_labels, [None]),
            ("accuracy, a tenth wrong", with_wrong_labels, seeds),
        ):
            by_draw = {d: mean_of(measure, of, d, over) for d in arguments.draws}
            print(f"{table(title, by_draw)}\n", flush=True)
        both = {
            draw: mean_of(with_unequal_labels, of, draw, seeds)
            for draw in arguments.draws
        }
        for column, title in enumerate(("accuracy", "balanced accuracy")):
            one = {
                draw: {name: values[column] for name, values in of_draw.items()}
                for draw, of_draw in both.items()
            }
            print(f"{table(f'unequal labels, {title}', one)}\n", flush=True)


if __name__ == "__main__":
    main()
