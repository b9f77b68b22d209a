"""`semppl distil`: teach a network what a run's classifier says."""

import argparse

from semppl_keras.cli.arguments import (
    BACKBONE_FORMS,
    TRAINED_EPILOG,
    add_classifier,
    add_run,
    add_training,
    integer,
    number,
    share,
)
from semppl_keras.recipes.classifiers import DISTILLATION
from semppl_keras.runs.options.classifier import STUDENT_VIEWS, DistillationOptions

OPTIONS = DistillationOptions

SUMMARY = "teach a network what a run's classifier says of its images"

DESCRIPTION = """\
Teach a network what a run's classifier says of all of its images, labelled or not, the
third step of SimCLRv2: a smaller one, to be quicker, or one like it. The teacher is
what semppl label uses, or --classifier. With harder views for the student alone, and
rounds, it is Noisy Student."""

EPILOG = (
    TRAINED_EPILOG
    + """

examples:
  semppl distil runs/flowers
  semppl distil runs/flowers --student small --out runs/flowers_small
  semppl distil runs/flowers --student-views rand_augment --min-confidence 0.3
    --balance --rounds 2"""
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
    noise = parser.add_argument_group("Noisy Student")
    noise.add_argument(
        "--student-views",
        choices=STUDENT_VIEWS,
        help="harder views for the student alone, while its teacher sees the images as "
        "they are: two random operations of RandAugment, or the views of a recipe "
        "(default: the same for both)",
    )
    noise.add_argument(
        "--min-confidence",
        type=share,
        metavar="P",
        default=DistillationOptions.min_confidence,
        help="leave images out of which the teacher is less sure, such as 0.3 "
        f"(default: {DistillationOptions.min_confidence:g})",
    )
    noise.add_argument(
        "--balance",
        action="store_true",
        help="weight the images so that the classes that the teacher names count alike",
    )
    noise.add_argument(
        "--rounds",
        type=integer,
        metavar="N",
        default=DistillationOptions.rounds,
        help="how often, the student of one round being the teacher of the next "
        f"(default: {DistillationOptions.rounds})",
    )
    add_training(training, parser.add_argument_group("output"), DISTILLATION)


def run(options: DistillationOptions) -> None:
    """Does what the options say."""
    from semppl_keras.runs.distilling import distil_with

    distil_with(options)


def how_to_go_on(options: DistillationOptions) -> str:
    """The sentence for someone who has just interrupted the command."""
    return "Run the same command again: it goes on where it was saved."
