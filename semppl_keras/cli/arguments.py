"""What several commands check while they parse; the standard library alone."""

import argparse

# `recipes.BACKBONES` by their names: parsing imports nothing that takes its time.
BACKBONES = (
    "small",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet200",
)


def at_least(least, otherwise=""):
    """The type of an integer.

    Args:
        least: Integer, the least that is allowed.
        otherwise: What else is allowed, to be told in an error.

    Returns:
        A function for `type=` of argparse.
    """

    def parse(text):
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or not least <= number < 2**32:
            raise argparse.ArgumentTypeError(
                f"must be an integer of at least {least}{otherwise}; received {text!r}"
            )
        return number

    return parse


def names(text):
    """Names with commas between.

    Args:
        text: What stands on the command line.

    Returns:
        List of texts, each once, in their order.
    """
    return list(dict.fromkeys(text.split(",")))


def add_table_options(parser):
    """The options that say how tables of labels are read.

    Args:
        parser: Of a command; they are None where they are not given.
    """
    parser.add_argument(
        "--label-column",
        metavar="NAME",
        help="column of a table that has the labels, where several may have them",
    )
    parser.add_argument(
        "--path-column", metavar="NAME", help="column that has the paths, likewise"
    )
    parser.add_argument(
        "--split-column",
        metavar="NAME=VALUE",
        help="column of a table, and what it says of the rows to train on (values with "
        "commas between); the others are to test on. 'none' for all rows (default: "
        "columns called split, is_valid, ... are understood, and told)",
    )
    parser.add_argument(
        "--keep-labels",
        type=names,
        metavar="NAME,...",
        help="labels that are classes, though spelled like one that is missing: blank, "
        "-1, nan, none, null, n/a, unlabelled, ?",
    )
    parser.add_argument(
        "--unknown-labels",
        type=names,
        metavar="NAME,...",
        help="further labels that stand for none, such as unknown",
    )


def share(text):
    """A number from 0 to 1, or as many percent.

    Args:
        text: What stands on the command line, such as "0.05" or "5%".

    Returns:
        Float.
    """
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = -1
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(
            f"must be a share from 0% to 100%; received {text!r}"
        )
    return number


def number(text):
    """A finite number.

    Args:
        text: What stands on the command line.

    Returns:
        Float.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("inf")
    if not abs(value) < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number; received {text!r}")
    return value


def positive(text):
    """A number above 0.

    Args:
        text: What stands on the command line.

    Returns:
        Float.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0; received {text!r}")
    return number
