"""What each objective is worth: the tables of docs/results/accuracy.md.

    KERAS_BACKEND=tensorflow python benchmarks/accuracy.py digits
    KERAS_BACKEND=tensorflow python benchmarks/accuracy.py fashion-mnist \
        --data fashion_mnist.npz
    KERAS_BACKEND=tensorflow python benchmarks/accuracy.py ablations

Every row has the same backbone, the same random views, the same optimiser, the same
number of steps and of images in each; the labelled images are those that `semppl
train` takes for the same seed. Objectives without labels are trained once per seed, on
all training images. The settings are the recipe's, which were tuned for SemPPL: the
other objectives share them, and were not tuned by themselves.

A run is kept in the JSON file as soon as it is done, so that an interrupted study
goes on where it stopped; `--table` prints what is there.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import dataclasses
import json
import math
import pathlib
import time

import keras
import numpy as np

from semppl_keras import (
    BYOL,
    Distiller,
    FineTuner,
    ReLICv2,
    SemPPL,
    SimCLR,
    SuNCEt,
    data,
    recipes,
    views,
)
from semppl_keras.evaluation import linear_probe, supervised_accuracy

# What is pre-trained, and how it differs from the recipe.
METHODS = {
    "SimCLR": (SimCLR, {}),
    "BYOL": (BYOL, {}),
    "ReLICv2": (ReLICv2, {}),
    "SuNCEt": (SuNCEt, {}),
    "SemPPL-BYOL": (SemPPL, {"objective": "byol"}),
    "SemPPL": (SemPPL, {}),
}

ROWS = {
    "supervised": "supervised only",
    "SimCLR/linear": "SimCLR, linear probe",
    "BYOL/linear": "BYOL, linear probe",
    "ReLICv2/linear": "ReLICv2, linear probe",
    "SuNCEt/linear": "SuNCEt, linear probe",
    "SimCLR/fine-tuned": "SimCLRv2, fine-tuned",
    "SimCLR/distilled": "SimCLRv2, fine-tuned and distilled",
    "SemPPL-BYOL/linear": "SemPPL on BYOL, linear probe",
    "SemPPL/knn": "SemPPL, nearest in its memory",
    "SemPPL/linear": "SemPPL, linear probe",
    "SemPPL/fine-tuned": "SemPPL, fine-tuned",
    "SemPPL/distilled": "SemPPL, fine-tuned and distilled",
}

# One change each of the digits recipe, with 10 labels per class.
ABLATIONS = {
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


@dataclasses.dataclass(frozen=True)
class Study:
    """A data set and how much of it is looked at.

    Args:
        dataset: as `semppl train --dataset` takes it.
        recipe: `Recipe`.
        labels_per_class: tuple of int, the columns.
        unlabelled: int or None, images that are trained on (drawn by seed); all
            where None.
        label_steps: int, steps of what learns from the labels alone (fine-tuning, the
            supervised baseline); more where there are so many labels that this would
            not be 15 passes.
        distil_epochs: int, passes over the unlabelled images.
    """

    dataset: str
    recipe: recipes.Recipe
    labels_per_class: tuple
    unlabelled: int | None
    label_steps: int
    distil_epochs: int

    def steps_on(self, num_labelled):
        """Steps of 64 images of what learns from this many labelled ones alone."""
        return max(self.label_steps, 15 * num_labelled // 64)

    def load(self, labels_per_class, seed):
        """The data set at the recipe's size, a few of its images labelled."""
        loaded = data.load(self.dataset, labels_per_class, seed)
        if self.unlabelled is not None:
            rest = loaded.unlabelled_indices
            chosen = np.random.default_rng(seed).permutation(rest)[: self.unlabelled]
            kept = np.sort(np.concatenate([loaded.labelled_indices, chosen]))
            loaded = dataclasses.replace(
                loaded,
                x_train=loaded.x_train[kept],
                y_train=loaded.y_train[kept],
                labelled_indices=np.searchsorted(kept, loaded.labelled_indices),
            )
        if self.recipe.image_size is None:
            return loaded
        return loaded.enlarged(self.recipe.image_size)


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


def share(predicted, labels):
    """The accuracy, rounded to what the size of the test set can tell."""
    return round(float(np.mean(predicted == labels)), 4)


def train(study, loaded, model_class, seed, **changes):
    """A trained model, and the seconds it took."""
    recipe = study.recipe
    budget = recipe.epochs * math.ceil(len(loaded.x_train) / recipe.batch_size)
    images, labelled, labelled_batch_size = loaded.x_train, None, 0
    if model_class.needs_labels:
        images, labelled = loaded.x_unlabelled, (loaded.x_labelled, loaded.y_labelled)
        labelled_batch_size = min(recipe.labelled_batch_size, len(loaded.x_labelled))
    # Unlabelled images take the place of labelled ones that there are not: every step
    # holds as many images.
    batch_size = recipe.batch_size + recipe.labelled_batch_size - labelled_batch_size
    batch_size = min(batch_size, len(images))
    steps = math.ceil(len(images) / batch_size)
    epochs = round(budget / steps)
    recipe = dataclasses.replace(
        recipe, epochs=epochs, model={**recipe.model, **changes}
    )
    keras.utils.set_random_seed(seed)
    model = recipe.make_model(
        loaded.x_train.shape[-1],
        loaded.num_classes,
        steps,
        seed=seed,
        objective=model_class,
    )
    begun = time.monotonic()
    model.fit(
        images,
        labelled,
        epochs=epochs,
        batch_size=batch_size,
        labelled_batch_size=labelled_batch_size or None,
        verbose=0,
    )
    return model, round(time.monotonic() - begun, 1)


def linear(model, loaded, seed):
    """A linear probe's accuracy on the test images."""
    features = model.embed(loaded.x_labelled)
    probe = linear_probe(features, loaded.y_labelled, seed=seed)
    return share(probe.predict(model.embed(loaded.x_test)), loaded.y_test)


def fine_tuned_and_distilled(study, model, loaded, seed):
    """The second and third step of SimCLRv2; their accuracies on the test images."""
    batch_size = min(64, len(loaded.x_labelled))
    tuner = FineTuner(model, loaded.num_classes, seed=seed)
    steps = study.steps_on(len(loaded.x_labelled))
    tuner.compile(decayed_adam(steps))
    tuner.fit(
        loaded.x_labelled,
        loaded.y_labelled,
        epochs=math.ceil(steps / math.ceil(len(loaded.x_labelled) / batch_size)),
        batch_size=batch_size,
        verbose=0,
    )
    tuned = tuner.predict(loaded.x_test, verbose=0).argmax(axis=1)

    student = Distiller(tuner, tuner, seed=seed)
    steps = math.ceil(len(loaded.x_unlabelled) / 128)
    student.compile(decayed_adam(study.distil_epochs * steps))
    student.fit(
        loaded.x_unlabelled, epochs=study.distil_epochs, batch_size=128, verbose=0
    )
    distilled = student.predict(loaded.x_test, verbose=0).argmax(axis=1)
    return {
        "fine-tuned": share(tuned, loaded.y_test),
        "distilled": share(distilled, loaded.y_test),
    }


def decayed_adam(steps):
    """Adam from 1e-3 down to 0 along a cosine."""
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps))


def supervised(study, loaded, seed):
    """The better of logistic regression on pixels and the backbone on labels alone."""
    keras.utils.set_random_seed(seed)
    random_views = study.recipe.make_views()
    view_seed = keras.random.SeedGenerator(seed)
    return supervised_accuracy(
        loaded.x_labelled,
        loaded.y_labelled,
        loaded.x_test,
        loaded.y_test,
        make_backbone=lambda: study.recipe.make_backbone(loaded.x_train.shape[-1]),
        augment=lambda images: random_views(images, seed=view_seed)["large"][:, 0],
        prepare=random_views.center_view,
        # What `semppl train` gives it, or more.
        steps=max(300, study.steps_on(len(loaded.x_labelled))),
        seed=seed,
    )


def objectives(study, results, seeds, methods):
    """The rows of these methods, seed by seed."""
    for seed in seeds:
        free = {}
        for count in study.labels_per_class:
            loaded = study.load(count, seed)
            for name in methods:
                key = f"{name}/{count}/{seed}"
                if key not in results.runs:
                    results.add(key, measured(study, loaded, name, seed, free))
                    keras.utils.clear_session(free_memory=False)


def measured(study, loaded, name, seed, free):
    """What one run gives by measure.

    Args:
        free: dict of name to (model, seconds), of what was trained without labels with
            this seed: on all training images, the same whichever are labelled.
    """
    if name == "supervised":
        baseline = supervised(study, loaded, seed)
        return {
            "supervised": round(baseline.best, 4),
            "logistic_regression": round(baseline.logistic_regression, 4),
            "network": round(baseline.network, 4),
        }
    objective, changes = METHODS[name]
    model, seconds = free.get(name) or train(study, loaded, objective, seed, **changes)
    if not objective.needs_labels:
        free[name] = model, seconds
    values = {"linear": linear(model, loaded, seed), "seconds": seconds}
    if name == "SemPPL":
        values |= of_semppl(model, loaded)
    if name in ("SimCLR", "SemPPL"):
        values |= fine_tuned_and_distilled(study, model, loaded, seed)
    return values


def of_semppl(model, loaded):
    """What SemPPL's own memory says of test and of unlabelled images."""
    pseudo_labels, _ = model.pseudo_label(loaded.x_unlabelled)
    hidden = loaded.y_train[loaded.unlabelled_indices]
    shares = model.predict(loaded.x_test, verbose=0)
    return {
        "knn": share(shares.argmax(axis=1), loaded.y_test),
        "pseudo": share(pseudo_labels, hidden),
    }


def ablations(study, results, seeds):
    """One setting changed at a time."""
    for seed in seeds:
        loaded = study.load(10, seed)
        for name, changes in ABLATIONS.items():
            if f"{name}/{seed}" in results.runs:
                continue
            model, seconds = train(study, loaded, SemPPL, seed, **changes)
            results.add(
                f"{name}/{seed}",
                {
                    "linear": linear(model, loaded, seed),
                    **of_semppl(model, loaded),
                    "seconds": seconds,
                },
            )


def mean_and_deviation(values):
    """`98.6 ± 0.4`, in percent; the deviation is that of a sample."""
    values = 100 * np.array(values)
    if len(values) < 2:
        return f"{values.mean():.1f}"
    return f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def objectives_table(study, results, seeds):
    """Markdown: a row per method, a column per number of labels."""
    counts = study.labels_per_class
    lines = ["| labels per class | " + " | ".join(map(str, counts)) + " |"]
    lines.append("| --- |" + " --- |" * len(counts))
    for row, title in ROWS.items():
        method, _, measure = row.partition("/")
        cells = []
        for count in counts:
            runs = [results.runs.get(f"{method}/{count}/{seed}") for seed in seeds]
            values = [run[measure or method] for run in runs if run]
            cells.append(mean_and_deviation(values) if values else "")
        if any(cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ablations_table(results, seeds):
    """Markdown: a row per change, with what it does to each measure."""
    lines = ["| change | pseudo-labels | nearest in memory | linear | seconds |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for name in ABLATIONS:
        runs = [results.runs.get(f"{name}/{seed}") for seed in seeds]
        runs = [run for run in runs if run]
        if runs:
            cells = [
                mean_and_deviation([run[measure] for run in runs])
                for measure in ("pseudo", "knn", "linear")
            ]
            seconds = np.mean([run["seconds"] for run in runs])
            lines.append(f"| {name} | " + " | ".join(cells) + f" | {seconds:.0f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("study", choices=["digits", "fashion-mnist", "ablations"])
    parser.add_argument("--data", help="npz file of Fashion-MNIST")
    parser.add_argument("--labels-per-class", type=int, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--methods",
        choices=["supervised", *METHODS],
        default=["supervised", *METHODS],
        nargs="+",
        help="rows of the table of objectives; default: all",
    )
    parser.add_argument("--epochs", type=int, help="of the recipe")
    parser.add_argument(
        "--unlabelled", type=int, help="train on this many images, drawn by seed"
    )
    parser.add_argument("--results", help="JSON file; default: STUDY.json")
    parser.add_argument("--table", action="store_true", help="print, run nothing")
    arguments = parser.parse_args()

    epochs = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    if arguments.study == "fashion-mnist":
        if arguments.data is None:
            parser.error("fashion-mnist needs --data: see examples/idx_to_npz.py")
        study = Study(
            dataset=f"npz:{arguments.data}",
            recipe=recipes.small_images(**epochs),
            labels_per_class=tuple(arguments.labels_per_class or (4, 10, 60, 600)),
            unlabelled=arguments.unlabelled,
            label_steps=300,
            distil_epochs=2,
        )
    else:
        study = Study(
            dataset="digits",
            recipe=recipes.digits(**epochs),
            labels_per_class=tuple(arguments.labels_per_class or (1, 4, 10)),
            unlabelled=arguments.unlabelled,
            label_steps=200,
            distil_epochs=10,
        )
    results = Results(arguments.results or f"{arguments.study}.json")
    if arguments.study == "ablations":
        if not arguments.table:
            ablations(study, results, arguments.seeds)
        print(ablations_table(results, arguments.seeds))
        return
    if not arguments.table:
        objectives(study, results, arguments.seeds, arguments.methods)
    print(objectives_table(study, results, arguments.seeds))


if __name__ == "__main__":
    main()
