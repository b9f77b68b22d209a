"""Whether confidences mean what they say: docs/results/confidence.md.

    KERAS_BACKEND=torch python benchmarks/confidence.py JOBS/clipart JOBS/stamps \
        --backbone lite0.keras --draws 0 1 2 3 --strangers OTHER_PICTURES

A job is a folder as for benchmarks/pretrained.py. Of frozen features: expected
calibration error on the pictures held out, of logistic regression and of propagation,
as they are and with the temperature of cross-validation; and, of as many pictures of
none of the classes among those without labels, the area under the ROC curve of
strangers. Features are kept in `--cache`.
"""

import argparse
import csv
import pathlib

import numpy as np
from sklearn.metrics import roc_auc_score

from semppl_keras.data.images.files import read_image
from semppl_keras.evaluation import (
    expected_calibration_error,
    stranger_shares,
    tempered,
)
from semppl_keras.evaluation.choosing import cross_validate
from semppl_keras.evaluation.knn import unit_rows
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.probe import refitted
from semppl_keras.evaluation.propagated_probe import (
    propagated_probe,
    usual_whitening,
)
from semppl_keras.evaluation.unit_probe import unit_probe
from semppl_keras.networks import ImageEmbedder
from semppl_keras.recipes.pretrained import pretrained
from semppl_keras.runs.candidates import shares_of

_SIZE = 224
# Of a perfectly calibrated classifier ECE is not 0: so often labels are drawn.
_DRAWN = 20
_NEAREST = 3


def rows_of(table):
    """By path what a table of path,label says."""
    with table.open(newline="") as file:
        return {
            table.parent / row["path"]: row["label"] for row in csv.DictReader(file)
        }


def features_of(paths, embedder, cache):
    """`(N, F)` of those that can be read, and which these are."""
    if cache.exists():
        kept = np.load(cache, allow_pickle=False)
        return kept["features"], kept["read"]
    features, read = [], []
    for index, path in enumerate(paths):
        try:
            image = read_image(path, _SIZE, 3, fit="pad")
        except ValueError as error:
            print(f"not read: {error}")
            continue
        features.append(embedder.predict(image[None], verbose=0)[0])
        read.append(index)
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez(cache, features=np.array(features), read=np.array(read))
    return np.array(features), np.array(read)


def least_error(shares, seed=0):
    """ECE that a classifier would have that is right as often as it says."""
    generator = np.random.default_rng(seed)
    errors = []
    for _ in range(_DRAWN):
        drawn = shares.cumsum(axis=1) > generator.random((len(shares), 1))
        errors.append(expected_calibration_error(shares, drawn.argmax(axis=1)))
    return float(np.mean(errors))


def classifiers(learned, labels, num_classes):
    """By name functions of labels, -1 where held out, that give a fitted classifier."""
    count = len(labels)
    labelled = learned[:count]
    probe = unit_probe(labelled, labels)
    graph = NeighbourGraph(
        learned,
        np.arange(len(learned)) < count,
        whitening=usual_whitening(len(learned)),
    )

    def linear(given):
        return refitted(probe, labelled[given >= 0], given[given >= 0])

    def propagation(given):
        unknown = np.full(len(learned) - count, -1)
        given = np.concatenate([given, unknown])
        return propagated_probe(graph, learned, given, num_classes)

    return {"logistic regression": linear, "propagation": propagation}


def calibration(learned, labels, test, test_labels, num_classes):
    """By row the ECE of one draw of the labels, and the accuracy."""
    results = {}
    for name, fit in classifiers(learned, labels, num_classes).items():

        def shares(given, fit=fit):
            said = shares_of(fit(given), learned[: len(labels)], num_classes)
            return said, said[:0]

        temperature = cross_validate(shares, labels).temperature
        own = shares_of(fit(labels), test, num_classes)
        ours = tempered(own, temperature)
        accuracy = float(np.mean(own.argmax(axis=1) == test_labels))
        results |= {
            f"{name}: accuracy": accuracy,
            f"{name}: ECE, its own": expected_calibration_error(own, test_labels),
            f"{name}: ECE, calibrated": expected_calibration_error(ours, test_labels),
            f"{name}: ECE if all were right": least_error(ours),
            f"{name}: temperature": temperature,
        }
    return results


def novelty(learned, labels, strangers, num_classes, seed):
    """By row the AUROC of strangers among as many members without labels."""
    count = len(labels)
    labelled, members = learned[:count], learned[count:]
    generator = np.random.default_rng(seed)
    number = min(len(members), len(strangers))
    members = members[generator.permutation(len(members))[:number]]
    strangers = strangers[generator.permutation(len(strangers))[:number]]
    found = {}
    for share, some in (("half", number), ("a tenth", number // 9)):
        features = np.concatenate([members, strangers[:some]])
        strange = np.arange(len(features)) >= number
        said = shares_of(unit_probe(labelled, labels), features, num_classes)
        similarities = -np.sort(-(unit_rows(features) @ unit_rows(labelled).T), axis=1)
        ours = stranger_shares(labelled, labels, features, said)
        scores = {
            "maximum softmax probability": -said.max(axis=1),
            "distance of the 3 nearest": -similarities[:, :_NEAREST].mean(axis=1),
            "ours": ours,
        }
        for name, values in scores.items():
            found[f"{share} strangers, {name}: AUROC"] = roc_auc_score(strange, values)
        found[f"{share} strangers, ours: mean share"] = float(ours.mean())
        of_both = np.stack([1 - ours, ours], axis=1)
        error = expected_calibration_error(of_both, strange.astype(int))
        found[f"{share} strangers, ours: ECE"] = error
    return found


def table(title, by_draw):
    """Markdown: each draw, mean and standard deviation."""
    head = " | ".join(f"draw {draw}" for draw in by_draw)
    lines = [
        f"| {title} | {head} | mean | sd |",
        "| --- |" + " ---: |" * (len(by_draw) + 2),
    ]
    for row in next(iter(by_draw.values())):
        values = [results[row] for results in by_draw.values()]
        deviation = np.std(values, ddof=1) if len(values) > 1 else 0.0
        shown = " | ".join(f"{value:.3f}" for value in [*values, np.mean(values)])
        lines.append(f"| {row} | {shown} | {deviation:.3f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("jobs", type=pathlib.Path, nargs="+")
    parser.add_argument("--backbone", required=True, help="as semppl train takes it")
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--strangers", type=pathlib.Path, help="of the first job")
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path("features"))
    arguments = parser.parse_args()
    recipe = pretrained(_SIZE, arguments.backbone)
    embedder = ImageEmbedder(recipe.make_backbone(3), recipe.make_views())
    strangers = None
    if arguments.strangers is not None:
        paths = sorted(arguments.strangers.rglob("*.png"))
        cache = arguments.cache / "strangers.npz"
        strangers, _ = features_of(paths, embedder, cache)
    for job in arguments.jobs:
        truth, held_out = rows_of(job / "truth.csv"), rows_of(job / "held_out.csv")
        names = sorted(set(truth.values()))
        features, read = features_of(
            list(truth), embedder, arguments.cache / f"{job.name}.npz"
        )
        test, read_test = features_of(
            list(held_out), embedder, arguments.cache / f"{job.name}_held_out.npz"
        )
        of_test = np.array([names.index(label) for label in held_out.values()])
        paths = [list(truth)[index] for index in read]
        by_draw = {}
        for draw in arguments.draws:
            known = rows_of(job / f"labels_{draw}.csv")
            first = [row for row, path in enumerate(paths) if path in known]
            rest = [row for row, path in enumerate(paths) if path not in known]
            labels = np.array([names.index(known[paths[row]]) for row in first])
            learned = features[first + rest]
            found = calibration(learned, labels, test, of_test[read_test], len(names))
            if strangers is not None and job == arguments.jobs[0]:
                found |= novelty(learned, labels, strangers, len(names), draw)
            by_draw[draw] = found
        print(table(job.name, by_draw), flush=True)


if __name__ == "__main__":
    main()
