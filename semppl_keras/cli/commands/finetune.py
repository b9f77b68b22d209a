"""`semppl finetune`: fine-tune the network of a finished run."""

from semppl_keras.cli.arguments import TRAINED_EPILOG, add_run, add_training, at_least

SUMMARY = "train a classifier out of a finished run, on its labels"

DESCRIPTION = """\
Fine-tune a copy of a run's network on its labelled images, the second step of SimCLRv2.
Worth it with some hundred labels and more; with few the linear probe on the frozen
network, which the other commands take where there is nothing else, is as good or
better."""

EPILOG = (
    TRAINED_EPILOG
    + """

examples:
  semppl finetune runs/flowers
  semppl finetune runs/flowers --from-layer 0 --epochs 30 --out runs/flowers_tuned"""
)


def add_arguments(parser):
    """Adds the options of the command."""
    add_run(parser)
    parser.add_argument(
        "--from-layer",
        type=at_least(0),
        metavar="N",
        help="fine-tune from this layer of the projection head, 0 for the network "
        "alone (default: its first)",
    )
    parser.add_argument(
        "--freeze-backbone",
        action="store_true",
        help="leave the network as it is and train what is on it alone",
    )
    add_training(parser, "some 300 steps, at least 10")


def run(arguments):
    """Does what the parsed arguments say."""
    from semppl_keras.runs import finetuning

    return finetuning.run(arguments)


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted the command."""
    from semppl_keras.runs import finetuning

    return finetuning.how_to_go_on(arguments)
