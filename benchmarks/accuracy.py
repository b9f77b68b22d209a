"""What each objective is worth: the tables of docs/results/accuracy.md.

    KERAS_BACKEND=tensorflow python benchmarks/accuracy.py digits
    KERAS_BACKEND=tensorflow python benchmarks/accuracy.py fashion-mnist \
        --data fashion_mnist.npz --rows graph_hog supervised SemPPL
    KERAS_BACKEND=jax python benchmarks/accuracy.py fashion-mnist \
        --data fashion_mnist.npz --resnet18 --dtype mixed_bfloat16 --rows SemPPL
    KERAS_BACKEND=tensorflow python benchmarks/accuracy.py ablations
    KERAS_BACKEND=tensorflow python benchmarks/accuracy.py ablations \
        --data fashion_mnist.npz --labels-per-class 10 60

The labelled images are those that `semppl train` takes for the same seed. Rows without
training, a network on the labels alone and consistency training are what they are when
somebody takes some care; pre-training has, in every row, the recipe's backbone, random
views, optimiser, number of steps and of images in each, which were tuned for SemPPL
alone. Objectives without labels are trained once per seed, on all training images.

A run is kept in the JSON file as soon as it is done, with the CPU seconds of all that
it needs, so that an interrupted study goes on where it stopped; `--table` prints what
is there: where SemPPL is behind, then all rows.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import pathlib

import keras
import numpy as np
from accuracy_rows import (
    ROWS,
    TITLES,
    Study,
    graph_over_features,
    is_ours,
    linear,
    measured,
    of_semppl,
    train,
)

from semppl_keras import SemPPL, recipes, views

# One change each of the recipe of the digits.
OF_DIGITS = {
    "the recipe": {},
    "2 + 2 views": {
        "views": views.recipe(
            "digits", num_small=2, small_size=10, small_area=(0.3, 0.5)
        )
    },
    "4 + 0 views": {"views": views.recipe("digits", num_large=4)},
    "C = 128": {"memory_size": 128},
    "C = 2560": {"memory_size": 2560},
    "k = 1": {"neighbours": 1},
    "k = 40": {"neighbours": 40},
    "P = 1": {"num_semantic_positives": 1},
    "P = 10": {"num_semantic_positives": 10},
    "K = 3": {"num_negatives": 3},
    "K = 40": {"num_negatives": 40},
    "alpha = 0 (invariance to labels only)": {"semantic_weight": 0.0},
    "alpha = 0.2": {"semantic_weight": 0.2},
    "alpha = 3": {"semantic_weight": 3.0},
    "lambda = 0": {"invariance_weight": 0.0},
    "lambda = 5": {"invariance_weight": 5.0},
    "c = 0.3": {"contrastive_weight": 0.3},
    "c = 0.3, lambda = 5 (paper)": {
        "contrastive_weight": 0.3,
        "invariance_weight": 5.0,
    },
    "tau = 0.2 (paper)": {"temperature": 0.2},
    "m0 = 0.97": {"target_momentum": 0.97},
    "m0 = 0.996 (paper)": {"target_momentum": 0.996},
}

# Of that of small images: what gives the pseudo-labels, and from which views.
GRAPH = {
    "labeller": "propagation",
    "propagation_start": 0.5,
    "propagation_every": 0.5,
    "balance_labels": True,
}
OF_SMALL_IMAGES = {
    "the recipe": {},
    "milder views": {"views": views.mild_views(views.recipe("small_images"))},
    "C = 2560": {"memory_size": 2560},
    "C = 6400": {"memory_size": 6400},
    "positives weighted by their shares": {"weight_positives": True},
    "pseudo-labels of a graph": GRAPH,
    "both": {"weight_positives": True, **GRAPH},
}


class Results:
    """Accuracies by run, in a file that is complete after each."""

    def __init__(self, path):
        self._path = pathlib.Path(path)
        self.runs = {}
        if self._path.exists():
            self.runs = json.loads(self._path.read_text())

    def add(self, key, values):
        self.runs[key] = values
        temporary = self._path.with_suffix(".partial")
        temporary.write_text(json.dumps(self.runs, indent=1) + "\n")
        os.replace(temporary, self._path)
        shown = {name: value for name, value in values.items()}
        print(f"{key}: {shown}", flush=True)


def objectives(study, results, seeds, rows):
    """These rows, seed by seed."""
    for seed in seeds:
        kept = {}
        for count in study.labels_per_class:
            for name in rows:
                key = f"{name}/{count}/{seed}"
                if key not in results.runs:
                    results.add(key, measured(study, name, count, seed, kept))
                    keras.utils.clear_session(free_memory=False)
            # What has learned from labels is of no use with others.
            kept = {which: model for which, model in kept.items() if which[1] is None}


def ablations(study, changes, results, seeds):
    """One setting changed at a time."""
    for seed in seeds:
        for count in study.labels_per_class:
            loaded = study.load(count, seed)
            for name, changed in changes.items():
                key = f"{name}/{count}/{seed}"
                if key in results.runs:
                    continue
                model, seconds = train(study, loaded, SemPPL, seed, **changed)
                values = {
                    "linear": linear(model, loaded, seed),
                    **of_semppl(model, loaded),
                    "propagation": graph_over_features(model, loaded, seed),
                    "seconds": seconds,
                }
                results.add(key, values)
                keras.utils.clear_session(free_memory=False)


def mean_and_deviation(values):
    """`98.6 ± 0.4`, in percent; the deviation is that of a sample."""
    values = 100 * np.array(values)
    if len(values) < 2:
        return f"{values.mean():.1f}"
    return f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def runs_of(method, counts, results, seeds):
    """What there is of a method, run by run."""
    keys = [f"{method}/{count}/{seed}" for count in counts for seed in seeds]
    return [results.runs[key] for key in keys if key in results.runs]


def accuracies(study, results, seeds):
    """By row and number of labels the accuracies of the seeds that there are."""
    found = {}
    for row in TITLES:
        method, _, measure = row.partition("/")
        name = measure or method
        for count in study.labels_per_class:
            runs = runs_of(method, [count], results, seeds)
            values = [run[name] for run in runs if name in run]
            if values:
                found[row, count] = values
    return found


def standing(study, results, seeds):
    """Lines: in which columns the best row of SemPPL is behind, those first."""
    found = accuracies(study, results, seeds)
    lines = []
    for count in study.labels_per_class:
        best = {}
        for (row, of), values in found.items():
            if of == count:
                mean = (float(np.mean(values)), row)
                best[is_ours(row)] = max(best.get(is_ours(row), mean), mean)
        if len(best) == 2:
            (rival, theirs), (own, ours) = best[False], best[True]
            lines.append(
                (
                    own >= rival,
                    f"- {count} labels a class: SemPPL is "
                    f"{'ahead' if own >= rival else 'behind'}, {100 * own:.1f} "
                    f"({TITLES[ours]}) to {100 * rival:.1f} ({TITLES[theirs]})",
                )
            )
    return "\n".join(line for _, line in sorted(lines, key=lambda line: line[0]))


def objectives_table(study, results, seeds):
    """Markdown: a row per method, a column per number of labels, CPU seconds."""
    counts = study.labels_per_class
    found = accuracies(study, results, seeds)
    lines = ["| labels per class | " + " | ".join(map(str, counts)) + " | CPU s |"]
    lines.append("| --- |" + " --- |" * (len(counts) + 1))
    for row, title in TITLES.items():
        cells = [
            mean_and_deviation(found[row, count]) if (row, count) in found else ""
            for count in counts
        ]
        if any(cells):
            cells.append(seconds_of(row.partition("/")[0], counts, results, seeds))
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def seconds_of(method, counts, results, seeds):
    """From the least to the most CPU seconds of a method's runs, for a table."""
    runs = runs_of(method, counts, results, seeds)
    known = [run["cpu_seconds"] for run in runs if "cpu_seconds" in run]
    if not known:
        return ""
    least, most = f"{min(known):.0f}", f"{max(known):.0f}"
    return least if least == most else f"{least} to {most}"


def ablations_table(study, changes, results, seeds):
    """Markdown: a row per change, with what it does to each measure."""
    measures = {
        "pseudo-labels": "pseudo",
        "nearest in memory": "knn",
        "linear": "linear",
        "propagation": "propagation",
    }
    lines = [f"| labels per class | change | {' | '.join(measures)} | seconds |"]
    lines.append("| --- | --- |" + " --- |" * (len(measures) + 1))
    for count in study.labels_per_class:
        for name in changes:
            runs = runs_of(name, [count], results, seeds)
            if not runs:
                continue
            cells = []
            for measure in measures.values():
                values = [run[measure] for run in runs if measure in run]
                cells.append(mean_and_deviation(values) if values else "")
            cells.append(f"{np.mean([run['seconds'] for run in runs]):.0f}")
            lines.append(f"| {count} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("study", choices=["digits", "fashion-mnist", "ablations"])
    parser.add_argument(
        "--data",
        help="npz file of Fashion-MNIST; ablations are of the digits without it",
    )
    parser.add_argument("--labels-per-class", type=int, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--rows",
        choices=ROWS,
        default=ROWS,
        nargs="+",
        metavar="ROW",
        help=f"what is measured, of {', '.join(ROWS)}; default: all",
    )
    parser.add_argument("--epochs", type=int, help="of pre-training")
    parser.add_argument("--steps", type=int, help="of consistency training, at least")
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="of semppl train; default: 10"
    )
    parser.add_argument(
        "--unlabelled", type=int, help="train on this many images, drawn by seed"
    )
    parser.add_argument(
        "--resnet18",
        action="store_true",
        help="train a ResNet-18 with a small stem: for a GPU",
    )
    parser.add_argument("--dtype", default="float32", help="policy of Keras")
    parser.add_argument(
        "--results", help="JSON file; default: STUDY.json or STUDY-resnet18.json"
    )
    parser.add_argument("--table", action="store_true", help="print, run nothing")
    arguments = parser.parse_args()

    epochs = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    ablating = arguments.study == "ablations"
    if arguments.study == "fashion-mnist" and arguments.data is None:
        parser.error("fashion-mnist needs --data: see examples/idx_to_npz.py")
    if arguments.study == "digits" and arguments.data is not None:
        parser.error("digits come with scikit-learn: leave --data out")
    if arguments.data is not None:
        changes, counts = OF_SMALL_IMAGES, (10,) if ablating else (4, 10, 60, 600)
        study = Study(
            dataset=f"npz:{arguments.data}",
            recipe=recipes.small_images(**epochs),
            labels_per_class=tuple(arguments.labels_per_class or counts),
            unlabelled=arguments.unlabelled,
            label_steps=300,
            distil_epochs=2,
            consistency_steps=arguments.steps or 2000,
            minutes=arguments.minutes,
        )
    else:
        changes, counts = OF_DIGITS, (10,) if ablating else (1, 4, 10)
        study = Study(
            dataset="digits",
            recipe=recipes.digits(**epochs),
            labels_per_class=tuple(arguments.labels_per_class or counts),
            unlabelled=arguments.unlabelled,
            label_steps=200,
            distil_epochs=10,
            consistency_steps=arguments.steps or 1000,
            minutes=arguments.minutes,
        )
    name = arguments.study
    if arguments.resnet18:
        study = study.with_network("ResNet18", stem="small")
        # Rows have the same names: what another network came to is no result of it.
        name += "-resnet18"
    keras.config.set_dtype_policy(arguments.dtype)
    results = Results(arguments.results or f"{name}.json")
    if ablating:
        if not arguments.table:
            ablations(study, changes, results, arguments.seeds)
        print(ablations_table(study, changes, results, arguments.seeds))
        return
    if not arguments.table:
        objectives(study, results, arguments.seeds, arguments.rows)
    print(standing(study, results, arguments.seeds))
    print(objectives_table(study, results, arguments.seeds))


if __name__ == "__main__":
    main()
