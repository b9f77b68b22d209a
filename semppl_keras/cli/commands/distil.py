"""`semppl distil`: teach a network what a run's classifier says."""

import argparse

from semppl_keras.cli.arguments import (
    BACKBONE_FORMS,
    TRAINED_EPILOG,
    add_classifier,
    add_run,
    add_training,
    number,
)
from semppl_keras.recipes.classifiers import DISTILLATION
from semppl_keras.runs.options.classifier import DistillationOptions

OPTIONS = DistillationOptions

SUMMARY = "teach a network what a run's classifier says of its images"

DESCRIPTION = """\
Teach a network what a run's classifier says of all of its images, labelled or not, the
third step of SimCLRv2: a smaller one, to be quicker, or one like it. The teacher is
what semppl label uses, or --classifier."""

EPILOG = (
    TRAINED_EPILOG
    + """

examples:
  semppl distil runs/flowers
  semppl distil runs/flowers --student small --out runs/flowers_small"""
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_classifier(add_run(parser))
    training = parser.add_argument_group("training")
    training.add_argument(
        "--student",
        metavar="SPEC",
        default=DistillationOptions.student,
        help="the network that learns: the same, which goes on from what the teacher "
        f"has learned, or another: {BACKBONE_FORMS} "
        f"(default: {DistillationOptions.student})",
    )
    training.add_argument(
        "--temperature",
        type=number,
        metavar="T",
        default=DistillationOptions.temperature,
        help=f"of what the teacher says (default: {DistillationOptions.temperature:g})",
    )
    add_training(training, parser.add_argument_group("output"), DISTILLATION)


def run(options: DistillationOptions) -> None:
    """Does what the options say."""
    from semppl_keras.runs.classifiers import distil_with

    distil_with(options)


def how_to_go_on(options: DistillationOptions) -> str:
    """The sentence for someone who has just interrupted the command."""
    return "Run the same command again: it goes on where it was saved."
