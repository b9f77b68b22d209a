"""What several commands check while they parse; the standard library alone."""

import argparse
from typing import Any, Protocol

from semppl_keras.backbones.registry import BACKBONES
from semppl_keras.data.defaults import FIT, FITS
from semppl_keras.evaluation.classifier_titles import TITLES
from semppl_keras.recipes.classifiers import ClassifierTraining
from semppl_keras.runs.options.checks import (
    AS_LABELLED,
    BALANCES,
    CLASSES,
    ESTIMATED,
    TRACKERS,
)

TRAINED_EPILOG = """\
what is written to RUN (or --out):
  classifier.keras  images to probabilities; semppl export, label and report take it
                    from RUN
  classifier.json   how it was trained; on the run's test images, if there are any,
                    accuracy, accuracy by class, calibration
An earlier classifier there is kept as classifier_1.keras, classifier_2.keras, ..."""


BACKBONE_FORMS = (
    "keras:NAME (of keras.applications) or hub:PRESET (of KerasHub, or of a preset "
    "folder), with their weights or with @none behind the name without; FILE.keras; or "
    f"without weights {', '.join(BACKBONES)}"
)


RUN_HELP = "folder of a run that is finished, or FILE.zip of semppl pack"


class Options(Protocol):
    """A parser, or a group of its options."""

    def add_argument(self, *names: str, **settings: Any) -> argparse.Action:
        """Adds an option."""


def integer(text: str) -> int:
    """An integer; in which range it must be is known where it is used.

    Args:
        text: What stands on the command line.

    Returns:
        Integer.
    """
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be an integer; received {text!r}"
        ) from None


def integer_or_text(text: str) -> int | str:
    """The same, or text where it is none."""
    try:
        return int(text)
    except ValueError:
        return text


def integers(text: str) -> list[int]:
    """Integers with commas between."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be integers with commas between; received {text!r}"
        ) from None


def names(text: str) -> list[str]:
    """Names with commas between.

    Args:
        text: What stands on the command line.

    Returns:
        List of texts, each once, in their order.
    """
    return list(dict.fromkeys(text.split(",")))


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say how tables of labels are read.

    Args:
        parser: Of a command; they are None where they are not given.
    """
    options = parser.add_argument_group("tables of labels")
    options.add_argument(
        "--label-column",
        metavar="NAME",
        help="column of a table that has the labels, where several may have them",
    )
    options.add_argument(
        "--path-column", metavar="NAME", help="column that has the paths, likewise"
    )
    options.add_argument(
        "--split-column",
        metavar="NAME=VALUE",
        help="column of a table, and what it says of the rows to train on (values with "
        "commas between); the others are to test on. 'none' for all rows (default: "
        "columns called split, is_valid, ... are understood, and told)",
    )
    options.add_argument(
        "--keep-labels",
        type=names,
        metavar="NAME,...",
        help="labels that are classes, though spelled like one that is missing: blank, "
        "-1, nan, none, null, n/a, unlabelled, ?",
    )
    options.add_argument(
        "--unknown-labels",
        type=names,
        metavar="NAME,...",
        help="further labels that stand for none, such as unknown",
    )


def share(text: str) -> float:
    """A number, or as many percent.

    Args:
        text: What stands on the command line, such as "0.05" or "5%".

    Returns:
        Float.
    """
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be a share such as 0.05 or 5%; received {text!r}"
        ) from None


def number(text: str) -> float:
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


def add_run(parser: argparse.ArgumentParser) -> Options:
    """Adds the run of a command.

    Args:
        parser: Of a command.

    Returns:
        The group of the options that say how the run is taken.
    """
    add_packed_run(parser)
    options = parser.add_argument_group("the run")
    add_photos(options)
    add_trust(options)
    return options


def add_packed_run(parser: argparse.ArgumentParser) -> None:
    """Adds the run of a command, without the options of how it is taken."""
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)


def add_photos(options: Options, when: str = "") -> None:
    """Adds the option for where the images of a run are now.

    Args:
        options: The group that it stands in.
        when: Words of what it goes with.
    """
    options.add_argument(
        "--photos",
        metavar="DIR",
        help=f"{when}folder in which the images of the run are now, called as they "
        "were, however deep (default: where they were; what is gone is taken from what "
        "the run keeps)",
    )


def add_trust(options: Options, run: str = "RUN") -> None:
    """Adds the option by which somebody else's run folder is trusted.

    Args:
        options: The group that it stands in.
        run: What the help of the command calls the folder.
    """
    options.add_argument(
        "--trust",
        action="store_true",
        help=f"{run} is from someone whom you trust, or has layers of your own: read "
        "the images where it says, and import the modules that its models name; "
        "pickles are refused all the same",
    )


def add_source(parser: argparse.ArgumentParser) -> None:
    """Adds the images that a command reads."""
    parser.add_argument(
        "source",
        metavar="DIR",
        help="folder of image files, however deep, or another source of images that "
        "semppl train --unlabelled takes",
    )


def add_classifier(options: Options) -> None:
    """Adds the option for another classifier than that of the run."""
    options.add_argument(
        "--classifier",
        metavar="NAME",
        help="another classifier of the run: "
        f"{', '.join(TITLES)}; or FILE, a classifier.keras that semppl finetune, "
        "semppl distil or semppl check --doubt has written (default: RUN's own "
        "classifier.keras, otherwise what is best by cross-validation on the labels)",
    )


def add_fit(options: Options, default: str | None = None) -> None:
    """Adds the option for how images become squares."""
    options.add_argument(
        "--fit",
        metavar=f"{{{','.join(FITS)}}}",
        default=default,
        help="how images become squares: 'pad' shows all of each, between bars, 'crop' "
        f"its central square, 'stretch' all of it, out of shape (default: {FIT})",
    )


def add_value_range(options: Options) -> None:
    """Adds the option for the range of the values of deep images."""
    options.add_argument(
        "--value-range",
        nargs=2,
        type=number,
        metavar=("LOW", "HIGH"),
        help="in your own images of more than 8 bits a channel, the values that become "
        "black and white, such as 0 4095 (default: what all of them need, told)",
    )


def add_max_megapixels(options: Options, default: str) -> None:
    """Adds the option for how many pixels of an image may be decoded at once.

    Args:
        options: The group of what reads images.
        default: What stands for it where it is not given, in words.
    """
    options.add_argument(
        "--max-megapixels",
        type=number,
        metavar="N",
        help="millions of pixels of an image that may be decoded at once, and in parts "
        "four times as many; what is larger is left out, and counted (default: "
        f"{default})",
    )


def add_minutes(options: Options, what: str) -> None:
    """Adds the option for how long a command may take.

    Args:
        options: The group of the training.
        what: What the minutes are for, in words.
    """
    options.add_argument(
        "--minutes",
        type=number,
        metavar="N",
        help=f"how long {what} may take, in place of --epochs: as many steps are "
        "trained as fit, by the speed of the first ones, which are thrown away",
    )


def add_balance(options: Options, default: str | None = None) -> None:
    """Adds the option for what counts alike of classes with unequal labels.

    Args:
        options: The group of the training.
        default: What stands where it is not given.
    """
    options.add_argument(
        "--balance",
        metavar=f"{{{','.join(BALANCES)}}}",
        default=default,
        help="where classes have unequal numbers of labels, what trainings make of it: "
        f"{AS_LABELLED} count as they are, {CLASSES} count alike, or as often as is "
        f"{ESTIMATED} of the images, by what the labels become over a graph; linear "
        "classifiers, propagation and patches, and the choice of a run, have classes "
        f"count alike anyway (default: {AS_LABELLED})",
    )


def add_training(
    options: Options, output: Options, recipe: ClassifierTraining, otherwise: str = ""
) -> None:
    """Adds the options of a training of a classifier.

    Args:
        options: The group of the training; they are None where they are not given.
        output: That of what is written.
        recipe: What stands where they are not given.
        otherwise: Words of where that is another one.
    """
    least = f", at least {recipe.least_epochs}" if recipe.least_epochs > 1 else ""
    options.add_argument(
        "--epochs",
        type=integer,
        metavar="N",
        help=f"passes over the images (default: some {recipe.steps:,} steps{least}"
        f"{otherwise})",
    )
    add_minutes(options, "the command")
    options.add_argument(
        "--learning-rate",
        type=number,
        metavar="R",
        help="at the beginning; it falls along a cosine (default: "
        f"{recipe.learning_rate:g})",
    )
    options.add_argument(
        "--seed",
        type=integer,
        metavar="N",
        help="draws views and order (default: the run's)",
    )
    output.add_argument(
        "--out", metavar="DIR", help="folder to write to (default: RUN)"
    )
    add_log(
        output,
        "the training, and what is measured in the end,",
        "for tensorboard they are in logs/ (default: none)",
    )


def add_log(options: Options, what: str, remark: str) -> None:
    """Adds the option of another program that follows a training.

    Args:
        options: A parser or a group.
        what: What is followed, in words.
        remark: What is worth knowing of it.
    """
    options.add_argument(
        "--log",
        metavar=f"{{{','.join(TRACKERS)}}}",
        help=f"follow {what} with another program, too, where it is installed; "
        f"{remark}",
    )
