"""`semppl report`: write a page about a finished run."""

import argparse

from semppl_keras.cli.arguments import add_classifier, add_run
from semppl_keras.runs.options.report import ReportOptions

OPTIONS = ReportOptions

SUMMARY = "write an HTML page about a finished run"

DESCRIPTION = """\
Write one HTML page about a finished run, which needs nothing but itself: the table of
results, training curves, the confidence of the pseudo-labels over time, a map of the
images in the learned representation that can be zoomed, the confusion matrix, the most
suspect labels, the most and the least certain images of each class, augmented views,
settings and versions."""

EPILOG = """\
examples:
  semppl report runs/flowers
  semppl report runs/flowers --out flowers.html"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_classifier(add_run(parser))
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out",
        metavar="FILE",
        help="where (default: RUN/report.html, replaced if it is there)",
    )


def run(options: ReportOptions) -> None:
    """Does what the options say."""
    from semppl_keras.runs.reporting import report_with

    report_with(options)


def how_to_go_on(options: ReportOptions) -> str:
    """The sentence for someone who has just interrupted the command."""
    return "Nothing was written. Run the same command again."
