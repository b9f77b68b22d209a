"""The command `semppl`.

Parsing needs the standard library alone, beside what importing the package takes.
"""

import argparse
import importlib
import sys

from semppl_keras.cli import run_commands
from semppl_keras.cli.arguments import BACKBONES as _BACKBONES
from semppl_keras.cli.arguments import add_table_options, names
from semppl_keras.cli.arguments import at_least as _at_least
from semppl_keras.cli.arguments import positive as _positive
from semppl_keras.cli.arguments import share as _share
from semppl_keras.runs.terminal import plain_output

_DESCRIPTION = """\
Learn from many images and labels for a few of them (SemPPL on Keras 3)."""

_TRAIN_DESCRIPTION = """\
Train SemPPL on images of which only a few are labelled, and compare it with what
these labels give without the other images.

With --unlabelled and --labelled: on your own images, none of which is changed.
Without options: scikit-learn's handwritten digits, 10 labels of each digit. Nothing
is downloaded; it takes a minute or two on two CPU cores.

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
  folder:DIR  image files in folders train/CLASS and test/CLASS, or in folders CLASS of
              which a fifth is to test on; resized to 28 pixels; the recipe
              "small_images"

your own images, each source one of:
  DIR             image files: JPEG, PNG, WebP, BMP, TIFF, GIF (its first frame), PNM,
                  JPEG 2000, grey, transparent, CMYK, turned or of 16 bits, which are
                  all read by one range, told; to --labelled and --test a folder
                  for each class, to --unlabelled all files, however deep
  FILE.csv, .tsv  lines of path,label, paths relative to the table, or to the folder
                  of --unlabelled. Rows whose label is blank, -1, nan, none, n/a, ...
                  are not among the labelled, nor those that a column calls test
  npz:FILE        a NumPy archive with images and labels
  tfds:NAME       a data set of TensorFlow Datasets, or tfds:NAME#SPLIT
  tfrecord:FILES  TFRecords of encoded images, wildcards allowed
  What cannot be read is left out and named in skipped.tsv. Without --test the accuracy
  is estimated by cross-validation on the labels, which the network has trained with.

what is written to DIR:
  metrics.json     supervised_accuracy, knn_accuracy, linear_accuracy (test images),
                   pseudo_label_accuracy (unlabelled images), train_seconds, ...
  report.png       training curves, pseudo-labels, embeddings, confusion matrix
  model.keras      the trained model: import semppl_keras, then
                   keras.models.load_model("DIR/model.keras")
  history.json     every epoch's losses and metrics
  logs/            the same for TensorBoard
  run.json, checkpoints/       what --resume needs; the latter go with the end
  skipped.tsv, cache/          own images: those left out, and those decoded

examples:
  semppl train
  semppl train --labels-per-class 1 --seed 2 --out runs/one_label
  semppl train --dataset npz:fashion_mnist.npz --epochs 20 --out runs/fashion
  semppl train --unlabelled photos --labelled labels.csv --out runs/photos
  semppl train --unlabelled photos --labelled sorted --test held_out --image-size 96
  semppl train --resume runs/fashion"""

_EVALUATE_DESCRIPTION = """\
Measure finished runs on test images: accuracy, accuracy by class, confusion and
calibration of several classifiers, each trained on the labelled images alone.

Without options: on the run's own data, split and labelled as in training. With --data
another data set: its labelled images train the classifiers on the features of the
frozen network (transfer), or, with --same-classes, the classifiers of the run are
tested on its test images (out of distribution). With --test the classifiers of the run
are tested on your own images of its classes.

Several RUNs that differ in the seed alone: also their mean and its 95% interval."""

_EVALUATE_EPILOG = """\
classifiers:
  supervised only        logistic regression on the pixels of the labelled images
  nearest in its memory  the vote of the embeddings in the model's memory
  nearest neighbours     of the labelled images' features, weighted by similarity
  linear probe           logistic regression on these features
  fine-tuned             with --fine-tune: the whole network, trained on the labels

what is written to RUN (an earlier evaluation there is replaced):
  evaluation.json  by classifier top-1 and top-5 accuracy (from six classes on),
                   accuracy by class, confusion matrix, expected calibration error;
                   robustness, settings, versions; what --test could not read
  confusion.png, per_class.png, reliability.png
  robustness.png   with --robustness: errors by corruption, and the mean corruption
                   error in percent of that of logistic regression on the pixels

your own images to test on, SOURCE one of:
  DIR             image files in a folder for each class
  FILE.csv, .tsv  lines of path,label, paths relative to the table
  npz:FILE, tfds:NAME or tfds:NAME#SPLIT, tfrecord:FILES, as for semppl train
  They are brought to the size of the run's images. Classes are those of the run by
  name; images of others, and those that cannot be read, are left out and told.

corruptions:
  gaussian_noise, shot_noise, impulse_noise, defocus_blur, glass_blur, motion_blur,
  zoom_blur, snow, frost, fog, brightness, contrast, elastic_transform, pixelate,
  jpeg_compression

examples:
  semppl evaluate runs/digits_10_per_class_seed_0
  semppl evaluate runs/digits_10_per_class_seed_* --fine-tune --out runs/mean
  semppl evaluate runs/fashion --robustness --severities 1,3,5
  semppl evaluate runs/fashion --labels-per-class 1% --fine-tune --out runs/one_percent
  semppl evaluate runs/fashion --data tfds:mnist --labels-per-class 10
  semppl evaluate runs/digits --data folder:scanned --same-classes
  semppl evaluate runs/photos --test held_out --fine-tune"""


_IMPORT_DESCRIPTION = """\
Make a Keras model of a checkpoint that the authors of SemPPL, BYOL or SimCLRv2
published: the backbone, from images (RGB in [0, 1]) to features. Nothing that a
checkpoint asks for is executed."""

_IMPORT_EPILOG = """\
checkpoints:
  FILE.pkl          of DeepMind (SemPPL, BYOL): ResNet-18 to 200 of any width
  PREFIX or FOLDER  of SimCLRv2: model.ckpt-N, with selective kernels or without;
                    TensorFlow reads it

The heads are to be had from Python: semppl_keras.checkpoints.load_deepmind and
load_simclr.

examples:
  semppl import pretrain_res50x1.pkl --out resnet50.keras
  semppl import r50_1x_sk1/model.ckpt-250228 --format saved_model --out served"""

# The module of each command.
_MODULES = {
    "train": "semppl_keras.runs.training",
    "evaluate": "semppl_keras.runs.evaluating",
    "label": "semppl_keras.runs.labelling",
    "views": "semppl_keras.runs.viewing",
    "report": "semppl_keras.runs.reporting",
    "finetune": "semppl_keras.runs.finetuning",
    "distil": "semppl_keras.runs.distilling",
    "export": "semppl_keras.runs.exporting",
    "import": "semppl_keras.cli.commands.import_checkpoint",
}


class _OneLineErrors(argparse.ArgumentParser):
    def error(self, message):
        message = " ".join(message.split())
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
    with plain_output():
        return _run(_parser().parse_args(argv))


def _run(arguments):
    """The exit status of a command."""
    command = load_command(arguments.command)
    from semppl_keras.runs.folder import CommandError
    from semppl_keras.training.out_of_memory import is_out_of_memory

    try:
        command.run(arguments)
    except CommandError as error:
        # Messages from elsewhere may have several lines.
        message = " ".join(str(error).split())
        print(f"semppl {arguments.command}: error: {message}", file=sys.stderr)
        return 2
    # What the commands do not tell in words of their own.
    except OSError as error:
        print(f"semppl {arguments.command}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nInterrupted. {command.how_to_go_on(arguments)}", file=sys.stderr)
        return 130
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        print(
            f"semppl {arguments.command}: error: there is less memory than this takes "
            f"({' '.join(str(error).split())[:200] or 'no more is known'}). Close "
            "other programs, or take smaller or fewer images.",
            file=sys.stderr,
        )
        return 2
    return 0


def load_command(name):
    """The module of a command, which takes a moment to load.

    Args:
        name: Of the command, such as "train".

    Returns:
        Module with `run(arguments)` and `how_to_go_on(arguments)`.
    """
    return importlib.import_module(_MODULES[name])


def parser_of(name, parser_class):
    """The parser of one command alone, for calling it from Python.

    Args:
        name: Of the command, such as "train".
        parser_class: Subclass of `argparse.ArgumentParser`.

    Returns:
        Object of this class; what it parses is what `run` of the command takes.
    """
    commands = argparse.ArgumentParser().add_subparsers(parser_class=parser_class)
    _add_commands(commands)
    return commands.choices[name]


def _parser():
    parser = _OneLineErrors(prog="semppl", description=_DESCRIPTION)
    commands = parser.add_subparsers(
        title="commands",
        dest="command",
        metavar="COMMAND",
        required=True,
        parser_class=_OneLineErrors,
    )
    _add_commands(commands)
    return parser


def _add_commands(commands):
    _add_train(commands)
    _add_evaluate(commands)
    _add_import(commands)
    run_commands.add_arguments(commands)


def _add_train(commands):
    train = run_commands.new_command(
        commands,
        "train",
        "train on a data set of which a few images are labelled, and report",
        _TRAIN_DESCRIPTION,
        _TRAIN_EPILOG,
    )
    # No defaults here: --resume has to know what was asked for and what was not.
    train.add_argument(
        "--dataset",
        type=_dataset,
        metavar="SPEC",
        help="npz:FILE, tfds:NAME or folder:DIR (default: digits)",
    )
    train.add_argument(
        "--unlabelled",
        metavar="SOURCE",
        help="your own images, to learn from without labels: a folder or another "
        "source below; goes with --labelled",
    )
    train.add_argument(
        "--labelled",
        metavar="SOURCE",
        help="those with labels: a folder for each class, or a table of path,label",
    )
    train.add_argument(
        "--test", metavar="SOURCE", help="with labels, to test on (default: none)"
    )
    train.add_argument(
        "--image-size",
        type=_at_least(8),
        metavar="N",
        help="of each of your own images the central square is resized to it "
        "(default: the size of the labelled images, at most 96)",
    )
    run_commands.add_value_range(train)
    train.add_argument(
        "--backbone",
        choices=_BACKBONES,
        metavar="NAME",
        help=f"the network for your own images: {', '.join(_BACKBONES)} (default: "
        "small up to 64 pixels, else resnet18)",
    )
    train.add_argument(
        "--max-skipped",
        type=_share,
        metavar="SHARE",
        help="how many of your own images may be unreadable (default: 5%%)",
    )
    train.add_argument(
        "--cache",
        choices=["auto", "memory", "disk"],
        help="where your own images, decoded, are kept (default: in memory where they "
        "fit, else in DIR)",
    )
    add_table_options(train)
    train.add_argument(
        "--labels-per-class",
        type=_labels_per_class,
        metavar="N",
        help="labelled images of each class, drawn by seed; 'all' for every image "
        "whose label is known (default: 10, of your own images all)",
    )
    train.add_argument(
        "--epochs",
        type=_at_least(1),
        metavar="N",
        help="passes over the unlabelled images; warm-up and schedules stretch with "
        "it (default: the recipe's; of your own images as many as make 3,000 steps)",
    )
    train.add_argument(
        "--batch-size",
        type=_at_least(2),
        metavar="N",
        help="unlabelled images per step, labelled ones in proportion: fewer take less "
        "memory (default: the recipe's)",
    )
    train.add_argument(
        "--learning-rate",
        type=_positive,
        metavar="X",
        help="its peak after the warm-up: lower if the training diverges (default: the "
        "recipe's)",
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
        "--checkpoint-minutes",
        type=_positive,
        metavar="N",
        help="within an epoch there is a checkpoint every N minutes (default: 5), "
        "beside that at its end",
    )
    train.add_argument(
        "--resume",
        nargs="?",
        const=True,
        metavar="DIR",
        help="go on with the run in DIR (or --out) where it was interrupted, by Ctrl-C "
        "or in any other way; its options are read from there",
    )
    run_commands.add_trust(train)


def _add_evaluate(commands):
    evaluate = run_commands.new_command(
        commands,
        "evaluate",
        "measure finished runs, on their own data or on other",
        _EVALUATE_DESCRIPTION,
        _EVALUATE_EPILOG,
    )
    evaluate.add_argument(
        "runs", nargs="+", metavar="RUN", help="folder of a run that is finished"
    )
    run_commands.add_trust(evaluate)
    evaluate.add_argument(
        "--data",
        type=_dataset,
        metavar="SPEC",
        help="digits, npz:FILE, tfds:NAME or folder:DIR, as for semppl train "
        "(default: the data of the run)",
    )
    evaluate.add_argument(
        "--test",
        metavar="SOURCE",
        help="your own images of the run's classes, to test what the run has learned: "
        "a folder for each class, a table of path,label or another source below",
    )
    add_table_options(evaluate)
    evaluate.add_argument(
        "--same-classes",
        action="store_true",
        help="the classes of --data are among those of the run: test what the run has "
        "learned from its own labels; no images to train on are needed",
    )
    evaluate.add_argument(
        "--labels-per-class",
        type=_labels_or_share,
        metavar="N",
        help="labelled images of each class for the classifiers, drawn by seed; "
        "'10%%' for a share of each class, 'all' for every image whose label is known "
        "(default: as the run)",
    )
    evaluate.add_argument(
        "--fine-tune",
        action="store_true",
        help="train a copy of the network on the labelled images, too",
    )
    evaluate.add_argument(
        "--from-layer",
        type=_at_least(0),
        metavar="N",
        help="fine-tune from this layer of the projection head, 0 for the network "
        "alone (default: its first)",
    )
    evaluate.add_argument(
        "--robustness",
        action="store_true",
        help="test on corrupted images, too",
    )
    evaluate.add_argument(
        "--severities",
        type=_severities,
        metavar="N,N",
        help="how strongly they are corrupted, out of 1 to 5 (default: 1,2,3,4,5)",
    )
    evaluate.add_argument(
        "--corruptions",
        type=names,
        metavar="NAME,NAME",
        help="which of the corruptions below (default: all 15)",
    )
    evaluate.add_argument(
        "--out",
        metavar="DIR",
        help="write there instead; for several RUNs to a folder of each, beside an "
        "evaluation.json with their mean",
    )
    evaluate.add_argument(
        "--seed",
        type=_at_least(0),
        metavar="N",
        help="draws cross-validation, fine-tuning, corruptions and the labelled images "
        "of another data set (default: the run's)",
    )


def _add_import(commands):
    importer = run_commands.new_command(
        commands,
        "import",
        "make a Keras model of a published checkpoint",
        _IMPORT_DESCRIPTION,
        _IMPORT_EPILOG,
    )
    importer.add_argument(
        "checkpoint", metavar="CHECKPOINT", help="a file, a prefix or a folder"
    )
    importer.add_argument(
        "--family",
        choices=["auto", "deepmind", "simclr"],
        default="auto",
        help="whose checkpoint it is (default: told from its files)",
    )
    importer.add_argument(
        "--format",
        choices=["keras", "saved_model"],
        default="keras",
        help="what is written (default: keras)",
    )
    importer.add_argument(
        "--out",
        metavar="PATH",
        help="where (default: CHECKPOINT_backbone.keras, or a folder without .keras, "
        "in the working folder); nothing is overwritten",
    )


def _dataset(text):
    kind, _, rest = text.partition(":")
    if text == "digits" or (kind in ("npz", "tfds", "folder") and rest):
        return text
    raise argparse.ArgumentTypeError(
        f"must be digits, npz:FILE, tfds:NAME or folder:DIR; received {text!r}"
    )


def _labels_per_class(text):
    return text if text == "all" else _at_least(1, " or 'all'")(text)


def _labels_or_share(text):
    if not text.endswith("%"):
        return text if text == "all" else _at_least(1, ", a share or 'all'")(text)
    try:
        share = float(text.removesuffix("%"))
    except ValueError:
        share = 0
    if not 0 < share <= 100:
        raise argparse.ArgumentTypeError(
            f"a share must lie above 0% and be at most 100%; received {text!r}"
        )
    return f"{share:g}%"


def _severities(text):
    if not all(part in ("1", "2", "3", "4", "5") for part in text.split(",")):
        raise argparse.ArgumentTypeError(
            f"must be integers from 1 to 5 with commas between; received {text!r}"
        )
    return sorted({int(part) for part in text.split(",")})
