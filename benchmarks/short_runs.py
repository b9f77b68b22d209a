"""Why ReLICv2, and SemPPL on it, learn less in a short run than SimCLR does.

    KERAS_BACKEND=tensorflow python benchmarks/short_runs.py

On digits with the recipe's number of steps and one label per class, a linear probe on
what SimCLR has learned without labels is far ahead of one on what ReLICv2 has. This
goes from one to the other, one change at a time.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse

import keras
import numpy as np
from accuracy import Results, mean_and_deviation
from accuracy_rows import Study, linear, train
from keras import ops

from semppl_keras import ReLICv2, SimCLR, recipes
from semppl_keras.models import Pretraining
from semppl_keras.networks import projector, projector_and_predictor


@keras.saving.register_keras_serializable(package="semppl_keras_benchmarks")
class TargetContrast(Pretraining):
    """Online views against the target's of the whole batch, by cross-entropy.

    Args:
        own_pairs: bool: a view is also contrasted with the target of that very view,
            as it is in ReLICv2's sum over all pairs of views.
        predictor: bool: the online network has one.
        backbone, views, projection_dim, hidden_dim, temperature, target_momentum,
            seed: as in `ReLICv2`.
    """

    settings = (
        "projection_dim",
        "hidden_dim",
        "temperature",
        "target_momentum",
        "own_pairs",
        "predictor",
    )

    def __init__(
        self,
        backbone,
        *,
        views,
        projection_dim,
        hidden_dim,
        temperature,
        target_momentum,
        own_pairs,
        predictor,
        seed=None,
        **kwargs,
    ):
        heads = projector_and_predictor if predictor else projector
        super().__init__(
            backbone,
            views=views,
            make_heads=heads(hidden_dim, projection_dim),
            num_target_heads=1,
            target_momentum=target_momentum,
            seed=seed,
            **kwargs,
        )
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        self.temperature = temperature
        self.own_pairs = own_pairs
        self.predictor = predictor

    def loss_parts(self, outputs, labels, batch):
        """Mean over images and pairs of views of -log of the share of the own image."""
        del labels, batch
        online = outputs["online"]
        logits = ops.einsum(
            "ibd,jkd->ijbk", online / self.temperature, outputs["target"]
        )
        share = ops.log_softmax(logits, axis=-1) * ops.eye(logits.shape[-1])
        loss = -ops.mean(ops.sum(share, axis=-1), axis=-1)
        counted = np.ones(loss.shape, "float32")
        if not self.own_pairs:
            np.fill_diagonal(counted, 0.0)
        return {"loss": ops.sum(loss * counted) / counted.sum()}


STEPS = {
    "ReLICv2": (ReLICv2, {}),
    "all images of the batch as negatives, no invariance penalty": (
        TargetContrast,
        {"own_pairs": True, "predictor": True},
    ),
    "and no pairs of a view with itself": (
        TargetContrast,
        {"own_pairs": False, "predictor": True},
    ),
    "and no predictor": (TargetContrast, {"own_pairs": False, "predictor": False}),
    "and no moving average: m0 = 0": (
        TargetContrast,
        {"own_pairs": False, "predictor": False, "target_momentum": 0.0},
    ),
    "SimCLR with one hidden layer: gradients through both views": (
        SimCLR,
        {"hidden_layers": 1},
    ),
    "SimCLR": (SimCLR, {}),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--results", default="short_runs.json", help="JSON file")
    arguments = parser.parse_args()
    study = Study(
        dataset="digits",
        recipe=recipes.digits(),
        labels_per_class=(1,),
        unlabelled=None,
        label_steps=0,
        distil_epochs=0,
    )
    results = Results(arguments.results)
    for seed in arguments.seeds:
        loaded = study.load(1, seed)
        for name, (model_class, changes) in STEPS.items():
            if f"{name}/{seed}" not in results.runs:
                model, seconds = train(study, loaded, model_class, seed, **changes)
                accuracy = linear(model, loaded, seed)
                results.add(f"{name}/{seed}", {"linear": accuracy, "seconds": seconds})
    print("| from ReLICv2 to SimCLR | linear probe |\n| --- | --- |")
    for name in STEPS:
        runs = [results.runs[f"{name}/{seed}"]["linear"] for seed in arguments.seeds]
        print(f"| {name} | {mean_and_deviation(runs)} |")


if __name__ == "__main__":
    main()
