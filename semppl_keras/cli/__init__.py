"""The command `semppl`.

Parsing needs the standard library alone, beside what importing the package takes.
"""

import argparse
import sys

_DESCRIPTION = """\
Learn from many images and labels for a few of them (SemPPL on Keras 3)."""

_TRAIN_DESCRIPTION = """\
Train SemPPL on a data set of which only a few images count as labelled, and
compare it with what these labels give without the other images.

Without options: scikit-learn's handwritten digits, 10 labels of each digit. Nothing
is downloaded; it takes about a minute and a half on two CPU cores.

KERAS_BACKEND=tensorflow, jax or torch chooses what runs the networks."""

_TRAIN_EPILOG = """\
data sets:
  digits      1,397 images of 8 x 8 pixels to train on, 400 to test; the recipe
              "digits"
  npz:FILE    a NumPy archive with x_train, y_train, x_test, y_test: images (N, h, w)
              or (N, h, w, 1 or 3) in [0, 255], integer labels from 0, -1 in y_train
              where nobody knows the label; the recipe "small_images"
  tfds:NAME   a data set of TensorFlow Datasets with images of one size; the variable
              TFDS_DATA_DIR names their folder; the recipe "small_images"

what is written to DIR:
  metrics.json     supervised_accuracy, knn_accuracy, linear_accuracy (test images),
                   pseudo_label_accuracy (unlabelled images), train_seconds, ...
  report.png       training curves, pseudo-labels, embeddings, confusion matrix
  model.keras      the trained model: import semppl_keras, then
                   keras.models.load_model("DIR/model.keras")
  history.json     every epoch's losses and metrics
  logs/            the same for TensorBoard
  run.json, checkpoint.keras   what --resume needs

examples:
  semppl train
  semppl train --labels-per-class 1 --seed 2 --out runs/one_label
  semppl train --dataset npz:fashion_mnist.npz --epochs 20 --out runs/fashion
  semppl train --resume --out runs/fashion"""


class _OneLineErrors(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(argv=None):
    """Runs the command line.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        The exit status: 0, 2 after an error of the user's, which is told in one
        line on stderr, or 130 when interrupted.

    Raises:
        SystemExit: The arguments cannot be parsed (2), or `--help` (0).

    Example:
        >>> main(["train", "--epochs", "1", "--out", "runs/short"])
    """
    arguments = _parser().parse_args(argv)
    from semppl_keras.cli import train

    try:
        train.run(arguments)
    except train.CommandError as error:
        # Messages from elsewhere may have several lines.
        print(f"semppl train: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nInterrupted. {train.how_to_go_on(arguments)}", file=sys.stderr)
        return 130
    return 0


def _parser():
    parser = _OneLineErrors(prog="semppl", description=_DESCRIPTION)
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_OneLineErrors
    )
    train = commands.add_parser(
        "train",
        help="train on a data set of which a few images are labelled, and report",
        description=_TRAIN_DESCRIPTION,
        epilog=_TRAIN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # No defaults here: --resume has to know what was asked for and what was not.
    train.add_argument(
        "--dataset",
        type=_dataset,
        metavar="SPEC",
        help="digits, npz:FILE or tfds:NAME (default: digits)",
    )
    train.add_argument(
        "--labels-per-class",
        type=_labels_per_class,
        metavar="N",
        help="labelled images of each class, drawn by seed; 'all' for every image "
        "whose label is known (default: 10)",
    )
    train.add_argument(
        "--epochs",
        type=_at_least(1),
        metavar="N",
        help="passes over the unlabelled images; warm-up and schedules stretch with "
        "it (default: the recipe's)",
    )
    train.add_argument(
        "--seed",
        type=_at_least(0),
        metavar="N",
        help="draws split, labelled images, weights and views (default: 0)",
    )
    train.add_argument(
        "--out",
        metavar="DIR",
        help="run folder (default: runs/DATASET_N_per_class_seed_SEED); one that "
        "holds a run is never overwritten",
    )
    train.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in DIR where it was interrupted; its options are "
        "read from there",
    )
    return parser


def _dataset(text):
    kind, _, rest = text.partition(":")
    if text == "digits" or (kind in ("npz", "tfds") and rest):
        return text
    raise argparse.ArgumentTypeError(
        f"must be digits, npz:FILE or tfds:NAME; received {text!r}"
    )


def _labels_per_class(text):
    return text if text == "all" else _at_least(1, " or 'all'")(text)


def _at_least(least, otherwise=""):
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
