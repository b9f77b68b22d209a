"""What a pretrained backbone is worth on real pictures: docs/results/pretrained.md.

    KERAS_BACKEND=tensorflow python benchmarks/pretrained.py JOBS/clipart JOBS/stamps \
        --backbone lite0.keras --draws 0 1 2 3

A job is a folder with `pictures/`, `labels_N.csv` for each draw N of the labels, and
`held_out.csv`. Each run is `semppl train`, which measures the frozen backbone, the
fine-tuned one and SemPPL on the same labels; with `--from-nothing` a second one trains
a new network. A run that is finished is not repeated.
"""

import argparse
import pathlib

import numpy as np

from semppl_keras import runs

# What metrics.json holds, and what its row is called.
ROWS = {
    "supervised_logistic_regression_accuracy": "pixels, logistic regression",
    "frozen_knn_accuracy": "frozen, nearest neighbours",
    "frozen_linear_accuracy": "frozen, logistic regression",
    "frozen_propagation_accuracy": "frozen, propagation",
    "tuned_linear_accuracy": "fine-tuned, linear probe",
    "tuned_propagation_accuracy": "fine-tuned, propagation",
    "knn_accuracy": "SemPPL, memory",
    "linear_accuracy": "SemPPL, linear probe",
    "propagation_accuracy": "SemPPL, propagation",
    "classifier_accuracy": "the chosen one",
}


def train(job, draw, folder, **options):
    """What `metrics.json` holds of a run, which is gone on with where it was begun."""
    return runs.train(
        unlabelled=job / "pictures",
        labelled=job / f"labels_{draw}.csv",
        test=job / "held_out.csv",
        out=folder,
        resume=(folder / "run.json").exists(),
        **({} if (folder / "run.json").exists() else options),
    )


def table(title, by_draw, rows):
    """Markdown, in percent: each draw, mean and standard deviation."""
    head = " | ".join(f"draw {draw}" for draw in by_draw)
    lines = [
        f"| {title} | {head} | mean | sd |",
        "| --- |" * 1 + " ---: |" * (len(by_draw) + 2),
    ]
    for key, name in rows.items():
        values = [metrics.get(key) for metrics in by_draw.values()]
        if None in values:
            continue
        percent = 100 * np.array(values)
        shown = [
            *percent,
            percent.mean(),
            percent.std(ddof=1) if len(values) > 1 else 0,
        ]
        lines.append(f"| {name} | " + " | ".join(f"{v:.1f}" for v in shown) + " |")
    chosen = ", ".join(metrics["classifier"] for metrics in by_draw.values())
    seconds = [metrics["seconds"] for metrics in by_draw.values()]
    return "\n".join(
        [*lines, "", f"Chosen: {chosen}. {np.mean(seconds):.0f} s a run in all."]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("jobs", type=pathlib.Path, nargs="+")
    parser.add_argument("--backbone", required=True, help="as semppl train takes it")
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs"))
    parser.add_argument("--epochs", type=int, help="0: frozen features alone")
    parser.add_argument(
        "--from-nothing", action="store_true", help="a new network of 64 px, too"
    )
    arguments = parser.parse_args()
    for job in arguments.jobs:
        by_draw, new = {}, {}
        for draw in arguments.draws:
            folder = arguments.out / f"{job.name}_{draw}"
            by_draw[draw] = train(
                job,
                draw,
                folder,
                backbone=arguments.backbone,
                epochs=arguments.epochs,
            )
            if arguments.from_nothing:
                folder = arguments.out / f"{job.name}_{draw}_from_nothing"
                new[draw] = train(job, draw, folder, backbone="small", image_size=64)
        print(table(job.name, by_draw, ROWS))
        if new:
            print(table(f"{job.name}, from nothing", new, ROWS))


if __name__ == "__main__":
    main()
