"""`semppl check`: find labels that are probably wrong."""

import argparse

from semppl_keras.cli.arguments import add_classifier, add_run, integer, share
from semppl_keras.runs.options.check import CheckOptions

OPTIONS = CheckOptions

SUMMARY = "find labels that are probably wrong"

DESCRIPTION = """\
Rank the labelled images of a finished run by how much their labels look like wrong
ones: each label is hidden in turn, and what logistic regression on the others and a
graph of all images say of the image is held against it (confident learning). Nothing
is changed; a person looks through the first ones."""

EPILOG = """\
what is written:
  suspects.csv   every labelled image, the most suspect first: path, label, suggested
                 (what the model says) and confidence (how sure it is), label_confidence
                 (how sure of the label), score (below 0 another class is suggested),
                 weight (how probable it is that the label is right, where a tenth is
                 wrong or what --doubt says; so much --doubt counts it); with the labels
                 mended semppl train --labelled takes it
  suspects.html  the first of them with pictures
  classifier.keras, classifier.json
                 with --doubt

examples:
  semppl check runs/flowers
  semppl check runs/flowers --classifier frozen_propagation --show 50
  semppl check runs/flowers --doubt 10%"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_classifier(add_run(parser))
    output = parser.add_argument_group("output")
    output.add_argument(
        "--show",
        type=integer,
        metavar="N",
        default=CheckOptions.show,
        help="how many suspects are printed and pictured (default: "
        f"{CheckOptions.show})",
    )
    output.add_argument(
        "--out",
        metavar="FILE",
        help="the table, beside which the page is written (default: RUN/suspects.csv, "
        "replaced if it is there and no label in it was changed)",
    )
    doubt = parser.add_argument_group("a classifier that doubts")
    doubt.add_argument(
        "--doubt",
        type=share,
        metavar="P",
        help="fit a classifier anew to the features of the run for which the most "
        "suspect labels count less, where a share P of them, such as 0.1 or 10%%, may "
        "be wrong; semppl label, export and report take it from then on",
    )


def run(options: CheckOptions) -> None:
    """Does what the options say."""
    from semppl_keras.runs.checking import check_with

    check_with(options)


def how_to_go_on(options: CheckOptions) -> str:
    """The sentence for someone who has just interrupted the command."""
    return "Run the same command again."
