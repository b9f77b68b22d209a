"""What a training step costs beyond its networks, and where its time goes.

    KERAS_BACKEND=tensorflow python benchmarks/step.py --config digits
    KERAS_BACKEND=jax python benchmarks/step.py --config resnet18

In turn are timed the step that `fit` runs, from views to the target's moving average;
the irreducible work as lean code (forward and backward of the online network over all
views, forward of the target over the large ones, the optimiser, compiled the same
way); `fit` itself; and each part of the step. The figures are medians. On TensorFlow
the irreducible work is timed twice: as Keras computes it, and in the fewer operations
that the step puts in their place.

"resnet18" and "resnet50" are the paper's settings with 4 views of 64 px and 2 of 32 px,
of batches of 64 and 16 images, a quarter of them labelled; "digits" is the recipe.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import time

import keras
from compiled import backend_version, device_name
from step_parts import Clock, Step, digits, imagenet, in_turn, table

RESNETS = {"resnet18": ("ResNet18", 64), "resnet50": ("ResNet50", 16)}


def add_job_arguments(parser):
    """What is measured, and how long."""
    parser.add_argument("--config", choices=["digits", *RESNETS], default="digits")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument(
        "--least-seconds",
        type=float,
        default=0.5,
        help="what is shorter is repeated for as long, in each turn",
    )
    parser.add_argument("--large-size", type=int, default=64, help="px, of ResNets")
    parser.add_argument("--small-size", type=int, default=32, help="px, of ResNets")
    parser.add_argument("--batch", type=int, help="images a step, of ResNets")


def make_job(arguments):
    """The job that the command line asks for."""
    if arguments.config == "digits":
        return digits()
    backbone, batch_size = RESNETS[arguments.config]
    return imagenet(
        backbone,
        large_size=arguments.large_size,
        small_size=arguments.small_size,
        batch_size=arguments.batch or batch_size,
    )


def heading(step, rounds):
    """What is measured on what, in a line."""
    views = step.model.views
    small = f" + {views.num_small} x {views.small_size} px" if views.num_small else ""
    return (
        f"{step.job.name}, {views.num_large} x {views.large_size} px{small}, "
        f"{step.job.images_per_step} images a step; {backend_version()}, Keras "
        f"{keras.__version__}, jit_compile={step.model.jit_compile}; {device_name()}, "
        f"{os.cpu_count()} cores; medians of {rounds} turns"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_job_arguments(parser)
    parser.add_argument(
        "--jit",
        action=argparse.BooleanOptionalAction,
        help="compile by XLA or torch.compile; default: what Keras chooses",
    )
    parser.add_argument(
        "--no-parts", action="store_true", help="the ratio alone, in less time"
    )
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="count the processor's seconds, on a machine that others use too",
    )
    parser.add_argument("--json", help="file for the seconds of every turn")
    arguments = parser.parse_args()
    if arguments.processor_time:
        Clock.read = staticmethod(time.process_time)

    step = Step(
        make_job(arguments),
        jit_compile="auto" if arguments.jit is None else arguments.jit,
    )
    print(heading(step, arguments.rounds), flush=True)
    functions = step.functions(parts=not arguments.no_parts)
    seconds = in_turn(functions, arguments.rounds, arguments.least_seconds)
    print(table(seconds))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(seconds, file)


if __name__ == "__main__":
    main()
