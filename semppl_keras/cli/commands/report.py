"""`semppl report`: write a page about a finished run."""

from semppl_keras.cli.arguments import add_classifier, add_run

SUMMARY = "write an HTML page about a finished run"

DESCRIPTION = """\
Write one HTML page about a finished run, which needs nothing but itself: the table of
results, training curves, the confidence of the pseudo-labels over time, a map of the
images in the learned representation that can be zoomed, the confusion matrix, the most
and the least certain images of each class, augmented views, settings and versions."""

EPILOG = """\
examples:
  semppl report runs/flowers
  semppl report runs/flowers --out flowers.html"""


def add_arguments(parser):
    """Adds the options of the command."""
    add_run(parser)
    add_classifier(parser)
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="where (default: RUN/report.html, replaced if it is there)",
    )


def run(arguments):
    """Does what the parsed arguments say."""
    from semppl_keras.runs import reporting

    return reporting.run(arguments)


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted the command."""
    from semppl_keras.runs import reporting

    return reporting.how_to_go_on(arguments)
