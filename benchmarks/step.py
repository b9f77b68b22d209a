"""What a training step costs beyond its networks, and where its time goes.

    KERAS_BACKEND=tensorflow python benchmarks/step.py --config digits
    KERAS_BACKEND=jax python benchmarks/step.py --config resnet18

In turn are timed the step that `fit` runs, from views to the target's moving average;
the irreducible work as lean code (forward and backward of the online network over all
views, forward of the target over the large ones, the optimiser, compiled the same
way); `fit` itself; and each part of the step. The figures are medians.

"resnet18" and "resnet50" are the paper's settings with 4 views of 64 px and 2 of 32 px,
of batches of 64 and 16 images, a quarter of them labelled; "digits" is the recipe.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json

import keras
from compiled import backend_version, device_name
from step_parts import PARTS, Step, digits, imagenet, in_turn, medians, shares

DEPTHS_AND_BATCHES = {"resnet18": (18, 64), "resnet50": (50, 16)}


def make_job(arguments):
    """The job that the command line asks for."""
    if arguments.config == "digits":
        return digits()
    depth, batch_size = DEPTHS_AND_BATCHES[arguments.config]
    return imagenet(
        depth,
        large_size=arguments.large_size,
        small_size=arguments.small_size,
        batch_size=arguments.batch or batch_size,
    )


def measured(job, rounds, least_seconds, **compile_arguments):
    """Seconds of everything: a dict of medians, and the heading."""
    step = Step(job, **compile_arguments)
    functions = {"full": step.full, "lean": step.lean(), "fit": step.fit}
    functions |= step.parts()
    functions["queue"] = step.queue()
    seconds = medians(in_turn(functions, rounds, least_seconds))
    views = step.model.views
    heading = (
        f"{job.name}, {views.num_large} x {views.large_size} px"
        + (f" + {views.num_small} x {views.small_size} px" if views.num_small else "")
        + f", {job.images_per_step} images a step; {backend_version()}, Keras "
        f"{keras.__version__}, jit_compile={step.model.jit_compile}, {device_name()}, "
        f"{os.cpu_count()} cores, medians of {rounds} turns"
    )
    return seconds, heading


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--config", choices=["digits", *DEPTHS_AND_BATCHES], default="digits"
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument(
        "--least-seconds",
        type=float,
        default=0.5,
        help="what is shorter is repeated for as long, in each turn",
    )
    parser.add_argument(
        "--jit",
        action=argparse.BooleanOptionalAction,
        help="compile by XLA or torch.compile; default: what Keras chooses",
    )
    parser.add_argument("--large-size", type=int, default=64, help="px, of ResNets")
    parser.add_argument("--small-size", type=int, default=32, help="px, of ResNets")
    parser.add_argument("--batch", type=int, help="images a step, of ResNets")
    parser.add_argument("--json", help="file to write the seconds to")
    arguments = parser.parse_args()

    seconds, heading = measured(
        make_job(arguments),
        arguments.rounds,
        arguments.least_seconds,
        jit_compile="auto" if arguments.jit is None else arguments.jit,
    )
    percent = shares(seconds)
    print(heading)
    print(f"full step         {1e3 * seconds['full']:10.2f} ms")
    print(f"irreducible work  {1e3 * seconds['lean']:10.2f} ms")
    print(f"ratio             {seconds['full'] / seconds['lean']:10.3f}")
    print(f"step of fit       {1e3 * seconds['fit']:10.2f} ms, of which")
    for name, share in percent.items():
        print(f"  {PARTS.get(name, name):40} {share:6.1f}%")
    queue = 100 * seconds["queue"] / seconds["fit"]
    print(f"  (of memory and votes the queue alone     {queue:6.2f}%)")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"seconds": seconds, "percent": percent}, file, indent=1)


if __name__ == "__main__":
    main()
