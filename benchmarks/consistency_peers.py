"""FixMatch of this package on torch, and in plain PyTorch: images per second, in turn.

    python benchmarks/consistency_peers.py

Both train the same small network on as many labelled and unlabelled images a step, with
the same kinds of views, and count the images that a step is made of. Counted is the
processor's time, of all cores, which hardly depends on what else the machine does; with
`--clock wall` the time that passes. The last line is JSON.
"""

import argparse
import json
import os
import statistics

os.environ["KERAS_BACKEND"] = "torch"

import torch
from consistency import CLOCKS, images_of, in_turn, trainings
from plain_fixmatch import FixMatch


def plain(arguments):
    """A function that trains as `trainings` does, in plain PyTorch."""
    unlabelled = arguments.ratio * arguments.labelled
    images, labels = images_of(unlabelled * arguments.steps, arguments.size)
    images = torch.from_numpy(images).permute(0, 3, 1, 2)
    few = arguments.labelled * arguments.steps
    labels = torch.from_numpy(labels).long()
    method = FixMatch()
    sizes = arguments.labelled, unlabelled
    return lambda: method.fit(images[:few], labels[:few], images, sizes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=28, help="px")
    parser.add_argument("--labelled", type=int, default=32, help="images a step")
    parser.add_argument("--ratio", type=int, default=3, help="unlabelled for each")
    parser.add_argument("--steps", type=int, default=8, help="of each turn")
    parser.add_argument("--rounds", type=int, default=7, help="turns")
    parser.add_argument("--clock", choices=CLOCKS, default="processor")
    arguments = parser.parse_args()
    arguments.methods = ["fixmatch"]
    functions = {"ours": trainings(arguments)["fixmatch"], "plain": plain(arguments)}
    seconds = in_turn(functions, arguments.rounds, CLOCKS[arguments.clock])
    images = (1 + arguments.ratio) * arguments.labelled * arguments.steps
    rates = {name: images / statistics.median(each) for name, each in seconds.items()}
    print(
        f"FixMatch, {arguments.labelled} labelled and "
        f"{arguments.ratio * arguments.labelled} unlabelled images of {arguments.size} "
        f"px a step; torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"load {os.getloadavg()[0]:.1f}; medians of {arguments.rounds} turns, "
        f"{arguments.clock} time"
    )
    for name, rate in rates.items():
        print(f"{name:<6} {rate:8.1f} images/s")
    ratios = [p / o for p, o in zip(seconds["plain"], seconds["ours"], strict=True)]
    print(json.dumps({"fixmatch_ratio": round(statistics.median(ratios), 3)}))


if __name__ == "__main__":
    main()
