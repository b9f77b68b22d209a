"""What several commands check while they parse; the standard library alone."""

import argparse

TRAINED_EPILOG = """\
what is written to RUN (or --out):
  classifier.keras  images to probabilities; semppl export, label and report take it
                    from RUN
  classifier.json   how it was trained; on the run's test images, if there are any,
                    accuracy, accuracy by class, calibration
An earlier classifier there is kept as classifier_1.keras, classifier_2.keras, ..."""


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


def dataset(text):
    kind, _, rest = text.partition(":")
    if text == "digits" or (kind in ("npz", "tfds", "folder") and rest):
        return text
    raise argparse.ArgumentTypeError(
        f"must be digits, npz:FILE, tfds:NAME or folder:DIR; received {text!r}"
    )


def add_run(parser):
    parser.add_argument("run", metavar="RUN", help="folder of a run that is finished")
    add_trust(parser)


def add_trust(parser):
    """Adds the option by which somebody else's run folder is trusted."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="RUN is from someone whom you trust, or has layers of your own: read the "
        "images where it says, and import the modules that its models name; pickles "
        "are refused all the same",
    )


def add_source(parser):
    parser.add_argument(
        "source",
        metavar="DIR",
        help="folder of image files, however deep, or another source of images that "
        "semppl train --unlabelled takes",
    )


def add_classifier(parser):
    parser.add_argument(
        "--classifier",
        metavar="FILE",
        help="another classifier.keras that semppl finetune or semppl distil has "
        "written (default: the run's, or its linear probe)",
    )


def add_value_range(parser):
    """Adds the option for the range of the values of deep images."""
    parser.add_argument(
        "--value-range",
        nargs=2,
        type=number,
        metavar=("LOW", "HIGH"),
        help="in your own images of more than 8 bits a channel, the values that become "
        "black and white, such as 0 4095 (default: what all of them need, told)",
    )


def add_training(parser, epochs):
    parser.add_argument(
        "--epochs",
        type=at_least(1),
        metavar="N",
        help=f"passes over the images (default: {epochs})",
    )
    parser.add_argument(
        "--learning-rate",
        type=positive,
        metavar="R",
        help="at the beginning; it falls along a cosine (default: 0.001)",
    )
    parser.add_argument(
        "--seed",
        type=at_least(0),
        metavar="N",
        help="draws views and order (default: the run's)",
    )
    parser.add_argument(
        "--out", metavar="DIR", help="folder to write to (default: RUN)"
    )
