"""`semppl finetune`: fine-tune the network of a finished run."""

import argparse

from semppl_keras.cli.arguments import (
    TRAINED_EPILOG,
    add_balance,
    add_run,
    add_training,
    integer,
)
from semppl_keras.recipes.classifiers import CONSISTENCY_STEPS, FINE_TUNING, METHODS
from semppl_keras.runs.options.classifier import FineTuningOptions

OPTIONS = FineTuningOptions

SUMMARY = "train a classifier out of a finished run, on its labels"

DESCRIPTION = """\
Fine-tune a copy of a run's network on its labelled images, the second step of SimCLRv2.
Worth it with some hundred labels and more; with few the classifiers that the run has
already, of which the other commands take the best by cross-validation, are as good or
better. With --method it learns from the run's unlabelled images, too."""

EPILOG = (
    TRAINED_EPILOG
    + """

examples:
  semppl finetune runs/flowers
  semppl finetune runs/flowers --method freematch --minutes 10
  semppl finetune runs/flowers --from-layer 0 --epochs 30 --out runs/flowers_tuned"""
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_run(parser)
    training = parser.add_argument_group("training")
    training.add_argument(
        "--method",
        metavar=f"{{{','.join(METHODS)}}}",
        default=FineTuningOptions.method,
        help="on the labels alone, or on the run's unlabelled images, too, by "
        "consistency training: what is said of a mild view of an image is to be said "
        f"of a strong one (default: {FineTuningOptions.method})",
    )
    training.add_argument(
        "--from-layer",
        type=integer,
        metavar="N",
        help="fine-tune from this layer of the projection head, 0 for the network "
        "alone (default: its first)",
    )
    training.add_argument(
        "--freeze-backbone",
        action="store_true",
        help="leave the network as it is and train what is on it alone",
    )
    add_balance(training, FineTuningOptions.balance)
    add_training(
        training,
        parser.add_argument_group("output"),
        FINE_TUNING,
        f"; with another --method some {CONSISTENCY_STEPS:,}",
    )


def run(options: FineTuningOptions) -> None:
    """Does what the options say."""
    from semppl_keras.runs.finetuning import finetune_with

    finetune_with(options)


def how_to_go_on(options: FineTuningOptions) -> str:
    """The sentence for someone who has just interrupted the command."""
    return "Run the same command again: it goes on where it was saved."
