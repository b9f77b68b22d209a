"""What 50 labels are worth, by how the images are chosen: docs/results/reviewing.md.

    python benchmarks/reviewing.py NAME FEATURES.npz [--draws 0 1 2 3] [--out FILE.json]

FEATURES.npz holds frozen features `features` (N, F) and `held_out` (M, F), the classes
of both, `labels` and `held_out_labels`, and the rows that draw K has labels of,
`draw_K`. In three rounds 17, 17 and 16 images are chosen by what a logistic regression
on the labels so far says, and labelled by the truth; the regression on all of them is
measured on the held-out images. At random: the mean of five seeds.
"""

import argparse
import json
import pathlib

import numpy as np
from sklearn.cluster import KMeans

from semppl_keras.evaluation import active
from semppl_keras.evaluation.unit_probe import unit_probe

ROUNDS = (17, 17, 16)
RANDOM_SEEDS = 5

STRATEGIES = {
    "random": lambda seed, features, known, shares, count: np.random.default_rng(
        seed
    ).permutation(len(features))[:count],
    "least certain, clustered": lambda seed, features, known, shares, count: (
        uncertain_clusters(shares.max(1), features, count)
    ),
    "margin": lambda seed, features, known, shares, count: active.least_margin(
        shares, count
    ),
    "entropy": lambda seed, features, known, shares, count: active.most_entropy(
        shares, count
    ),
    "core-set": lambda seed, features, known, shares, count: active.core_set(
        features, known, count
    ),
    "TypiClust": lambda seed, features, known, shares, count: active.typical(
        features, known, count, seed
    ),
    "graph": lambda seed, features, known, shares, count: active.graph_mass(
        features, shares, count
    ),
}


def uncertain_clusters(confidences, features, count):
    """The least certain image of each cluster of the least certain ones."""
    pool = np.argsort(confidences, kind="stable")[: 5 * count]
    rows = features[pool] / np.linalg.norm(features[pool], axis=1, keepdims=True)
    of = KMeans(count, n_init=1, random_state=0).fit_predict(rows.astype("float64"))
    return pool[np.sort(np.unique(of, return_index=True)[1])]


def accuracy(data, draw, strategy, seed=0, rounds=ROUNDS):
    """Accuracies on the held-out images before, and after each round."""
    features, labels = data["features"], data["labels"]
    known = list(data[f"draw_{draw}"])
    measured = []
    for round_, count in enumerate((*rounds, 0)):
        probe = unit_probe(features[known], labels[known], c=10.0)
        measured.append(probe.score(data["held_out"], data["held_out_labels"]))
        if count:
            others = np.setdiff1d(np.arange(len(features)), known)
            shares = probe.predict_proba(features[others])
            chosen = STRATEGIES[strategy](
                1000 * seed + round_, features[others], features[known], shares, count
            )
            known += list(others[chosen])
    return measured


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("features", type=pathlib.Path)
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    with np.load(options.features, allow_pickle=False) as archive:
        data = {name: archive[name] for name in archive}
    print(
        f"| {options.name} | before | after 50 | by draw |\n| --- | --- | --- | --- |"
    )
    found = {}
    for strategy in options.strategies:
        seeds = RANDOM_SEEDS if strategy == "random" else 1
        by_draw = [
            np.mean([accuracy(data, draw, strategy, seed) for seed in range(seeds)], 0)
            for draw in options.draws
        ]
        found[strategy] = {
            str(draw): [round(float(one), 4) for one in accuracies]
            for draw, accuracies in zip(options.draws, by_draw, strict=True)
        }
        before, *_, after = np.mean(by_draw, axis=0)
        draws = ", ".join(f"{100 * one[-1]:.1f}" for one in by_draw)
        print(
            f"| {strategy} | {100 * before:.1f}% | {100 * after:.1f}% | {draws} |",
            flush=True,
        )
        if options.out is not None:
            options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
