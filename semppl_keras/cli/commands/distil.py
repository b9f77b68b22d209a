"""`semppl distil`: teach a network what a run's classifier says."""

from semppl_keras.backbones.registry import BACKBONES
from semppl_keras.cli.arguments import (
    TRAINED_EPILOG,
    add_classifier,
    add_run,
    add_training,
    positive,
)

SUMMARY = "teach a network what a run's classifier says of its images"

DESCRIPTION = """\
Teach a network what a run's classifier says of all of its images, labelled or not, the
third step of SimCLRv2: a smaller one, to be quicker, or one like it. The teacher is the
run's classifier.keras, otherwise its linear probe."""

EPILOG = (
    TRAINED_EPILOG
    + """

examples:
  semppl distil runs/flowers
  semppl distil runs/flowers --student small --out runs/flowers_small"""
)


def add_arguments(parser):
    """Adds the options of the command."""
    add_run(parser)
    parser.add_argument(
        "--student",
        choices=["same", *BACKBONES],
        metavar="NAME",
        default="same",
        help="the network that learns: the same, which goes on from what the teacher "
        f"has learned, or a new {', '.join(BACKBONES)} (default: same)",
    )
    parser.add_argument(
        "--temperature",
        type=positive,
        metavar="T",
        default=1.0,
        help="of what the teacher says (default: 1)",
    )
    add_classifier(parser)
    add_training(parser, "some 1,000 steps")


def run(arguments):
    """Does what the parsed arguments say."""
    from semppl_keras.runs import distilling

    return distilling.run(arguments)


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted the command."""
    from semppl_keras.runs import distilling

    return distilling.how_to_go_on(arguments)
