"""Images of none of the classes among those without labels: docs/results/labels.md.

    KERAS_BACKEND=torch python benchmarks/strangers.py JOBS/clipart \
        --features clipart.npz --strangers features/strangers.npz --draws 0 1 2 3

Features of the job as benchmarks/labels.py keeps them, and of other pictures as
benchmarks/confidence.py does. Told are, of the pictures without labels: how many are
said to be strangers, and how many are; the area under the ROC curve; and the accuracy
on the members held out of propagation that learns from all of them, that learns less
from strangers, and that knows which they are. With --classes each class of the job is a
stranger once, its labels taken away.
"""

import argparse
import pathlib

import numpy as np
from labels import Features, table
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from semppl_keras.evaluation import stranger_shares
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.propagated_probe import (
    propagated_probe,
    usual_whitening,
)
from semppl_keras.runs.candidates import shares_of

# Strangers among the pictures without labels.
SHARES = (0.0, 0.1, 0.5)


def found(labelled, labels, others, strange, tested=None):
    """By row what is made of labelled pictures and of others."""
    rows = np.concatenate([labelled, others])
    known = np.concatenate([labels, np.full(len(others), -1)])
    graph = NeighbourGraph(rows, known >= 0, whitening=usual_whitening(len(rows)))
    num_classes = int(labels.max()) + 1

    def probe(members=None):
        return propagated_probe(graph, rows, known, num_classes, members=members)

    everything = probe()
    shares = shares_of(everything, others, num_classes)
    said = stranger_shares(labelled, labels, others, shares)
    results = {"are strangers": 100 * strange.mean(), "said": 100 * said.mean()}
    if strange.any():
        results["AUROC"] = 100 * roc_auc_score(strange, said)
    if tested is not None:
        members = {
            "accuracy": None,
            "accuracy, --strangers": 1 - said,
            "accuracy, strangers known": 1.0 - strange,
        }
        for name, shares in members.items():
            if shares is not None:
                shares = np.concatenate([np.ones(len(labels)), shares])
            right = probe(shares).predict(tested[0]) == tested[1]
            results[name] = 100 * right.mean()
    return results


def with_other_pictures(of, strangers, draw, share):
    """Strangers that are a share of the pictures without labels."""
    rows, generator = of.draws[draw], np.random.default_rng(draw)
    others = np.setdiff1d(np.arange(len(of.rows)), rows)
    others = generator.permutation(others)[: len(strangers)]
    number = round(len(others) * share / (1 - share))
    some = strangers[generator.permutation(len(strangers))[:number]]
    return found(
        of.rows[rows],
        of.labels[rows],
        np.concatenate([of.rows[others], some]),
        np.arange(len(others) + len(some)) >= len(others),
        (of.test, of.test_labels),
    )


def without_a_class(of, draw, label):
    """Strangers that are the pictures of a class, of which there are no labels."""
    rows = of.draws[draw]
    others = np.setdiff1d(np.arange(len(of.rows)), rows)
    rows = rows[of.labels[rows] != label]
    labels = of.labels[rows]
    labels = labels - (labels > label)
    return found(of.rows[rows], labels, of.rows[others], of.labels[others] == label)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("job", type=pathlib.Path, help="for its name")
    parser.add_argument("--features", type=pathlib.Path, required=True)
    parser.add_argument("--strangers", type=pathlib.Path, required=True)
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--classes", action="store_true", help="those of the job, too")
    arguments = parser.parse_args()
    of = Features(arguments.features)
    strangers = np.load(arguments.strangers, allow_pickle=False)["features"]
    with threadpool_limits(1):
        for share in SHARES:
            by_draw = {
                draw: with_other_pictures(of, strangers, draw, share)
                for draw in arguments.draws
            }
            title = f"{arguments.job.name}, {share:.0%} strangers"
            print(f"{table(title, by_draw)}\n", flush=True)
        for label in range(of.num_classes if arguments.classes else 0):
            by_draw = {
                draw: without_a_class(of, draw, label) for draw in arguments.draws
            }
            title = f"{arguments.job.name}, class {label} without labels"
            print(f"{table(title, by_draw)}\n", flush=True)


if __name__ == "__main__":
    main()
