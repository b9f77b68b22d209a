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
