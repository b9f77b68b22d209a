"""What a step of each recipe of consistency training costs.

    KERAS_BACKEND=torch python benchmarks/consistency.py

In turn are timed the training of `FineTuner` on labelled images, and of each recipe on
as many labelled and some times as many unlabelled ones, through `fit` in a single
process, on a small network. Printed are medians of milliseconds a step, and of how
many supervised steps each is worth. Counted is the processor's time, of all cores,
which hardly depends on what else the machine does; with a GPU take `--clock wall`.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import statistics
import time

import keras
import numpy as np
from compiled import backend_version

from semppl_keras import FineTuner, backbones, recipes
from semppl_keras.recipes.named_consistency import CONSISTENCY_METHODS
from semppl_keras.views import recipe as views_recipe


def images_of(count, size):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, size, size, 1)).astype("uint8")
    return images, (np.arange(count) % 10).astype("int32")


def backbone(size):
    return backbones.SmallResNet(
        input_shape=(size, size, 1), widths=(16, 32, 64), stem_strides=2
    )


def trainings(arguments):
    """A function by title that trains for some steps."""
    size, labelled = arguments.size, arguments.labelled
    count = arguments.ratio * labelled
    images, labels = images_of(count * arguments.steps, size)
    few = images[: labelled * arguments.steps], labels[: labelled * arguments.steps]
    tuner = FineTuner(
        backbone(size), 10, views=views_recipe("mild", large_size=size), seed=0
    )
    tuner.compile(keras.optimizers.SGD(0.01, momentum=0.9), metrics=())
    quiet = {"epochs": 1, "verbose": 0}

    def supervised():
        tuner.fit(*few, batch_size=labelled, **quiet)

    def of(trainer):
        def train():
            sizes = {"batch_size": count, "labelled_batch_size": labelled}
            trainer.fit(images, few, **sizes, **quiet)

        return train

    functions = {"supervised": supervised}
    for name in arguments.methods:
        recipe = recipes.consistency(name, 10_000)
        trainer = recipe.make_trainer(
            backbone(size), 10, views=views_recipe("mild", large_size=size), seed=0
        )
        trainer.compile(recipe.make_optimizer(), metrics=())
        functions[name] = of(trainer)
    return functions


CLOCKS = {"processor": time.process_time, "wall": time.perf_counter}


def in_turn(functions, rounds, clock):
    """The seconds of every call, the first of each left out."""
    for function in functions.values():
        function()
    seconds = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            begin = clock()
            function()
            seconds[name].append(clock() - begin)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=CONSISTENCY_METHODS,
        default=[*CONSISTENCY_METHODS],
    )
    parser.add_argument("--size", type=int, default=28, help="px")
    parser.add_argument("--labelled", type=int, default=32, help="images a step")
    parser.add_argument("--ratio", type=int, default=3, help="unlabelled for each")
    parser.add_argument("--steps", type=int, default=8, help="of each turn")
    parser.add_argument("--rounds", type=int, default=7, help="turns")
    parser.add_argument("--clock", choices=CLOCKS, default="processor")
    parser.add_argument("--json", help="file for the seconds of every turn")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    print(
        f"{arguments.labelled} labelled and {arguments.ratio * arguments.labelled} "
        f"unlabelled images of {arguments.size} px a step; {backend_version()}, Keras "
        f"{keras.__version__}; {os.cpu_count()} cores, load {load:.1f}; medians of "
        f"{arguments.rounds} turns, {arguments.clock} time",
        flush=True,
    )
    seconds = in_turn(trainings(arguments), arguments.rounds, CLOCKS[arguments.clock])
    steps = arguments.steps
    base = seconds["supervised"]
    for name, taken in seconds.items():
        ratios = [own / other for own, other in zip(taken, base, strict=True)]
        step = statistics.median(taken) / steps
        print(f"{name:<12} {1000 * step:8.1f} ms {statistics.median(ratios):6.1f}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(seconds, file)


if __name__ == "__main__":
    main()
