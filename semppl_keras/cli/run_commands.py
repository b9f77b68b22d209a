"""The arguments of the commands that work on finished runs, and of `semppl views`.

The standard library alone, as everywhere in parsing.
"""

import argparse

from semppl_keras.cli.arguments import (
    BACKBONES,
    at_least,
    number,
    positive,
    share,
)

_EXPORT_DESCRIPTION = """\
Write a finished run so that it can be served without this package: images as they are
go in, uint8 and of any size, and probabilities with class names come out.

The classifier is the fine-tuned or distilled one where RUN has one (classifier.keras),
otherwise the linear probe of the frozen network, fitted to the labelled images of the
run."""

_EXPORT_EPILOG = """\
formats:
  saved_model  a folder for plain TensorFlow and TensorFlow Serving; outputs
               "probabilities" and "label", the signature "class_names",
               assets/labels.txt
  keras        FILE.keras: import semppl_keras, then keras.models.load_model(FILE);
               its class_names
  onnx         FILE.onnx for onnxruntime; the metadata entry "class_names" (JSON)
  litert       FILE.tflite for LiteRT (TensorFlow Lite), on phones as well; within it
               labels.txt (unzip FILE.tflite)
Beside a file stands FILE.labels.txt, a class a line in the order of the columns.

All but keras are written by TensorFlow, in a process of its own where KERAS_BACKEND
names another backend: pip install 'semppl_keras[export]'.

examples:
  semppl export runs/flowers --format saved_model
  semppl export runs/flowers --format onnx --out flowers.onnx
  semppl export runs/flowers --format litert --what backbone"""

_LABEL_DESCRIPTION = """\
Label images with a finished run: by its fine-tuned or distilled classifier, otherwise
by the linear probe of its network. Images are read and never changed."""

_LABEL_EPILOG = """\
what is written:
  labels.csv         path, label, confidence (its probability), second and second_share
                     (the next class and its probability), nearest_1 to nearest_3 (the
                     labelled images whose features are nearest), given_label (the class
                     that the run was given of an image); paths relative to the table;
                     semppl train --labelled takes it
  labels.skipped.tsv the files that could not be read, and why
  labels.review.html with --review: a page to look through the images whose labels would
                     teach most, uncertain ones unlike each other, and to label them;
                     it saves a table for semppl train --labelled

examples:
  semppl label runs/flowers photos --out labels.csv
  semppl label runs/flowers photos --min-confidence 0.9 --move-into sorted
  semppl label runs/flowers photos --review 50"""

_VIEWS_DESCRIPTION = """\
Draw what training would make of some images of a folder: a row for each, with the
image, the square that is seen without augmentation, and random views of it. Where they
no longer show what the label says, choose another image size or write views of your own
(semppl_keras.views.MultiCrop)."""

_VIEWS_EPILOG = """\
examples:
  semppl views photos
  semppl views photos --image-size 64 --views imagenet --out imagenet.png"""

_REPORT_DESCRIPTION = """\
Write one HTML page about a finished run, which needs nothing but itself: the table of
results, training curves, the confidence of the pseudo-labels over time, a map of the
images in the learned representation that can be zoomed, the confusion matrix, the most
and the least certain images of each class, augmented views, settings and versions."""

_REPORT_EPILOG = """\
examples:
  semppl report runs/flowers
  semppl report runs/flowers --out flowers.html"""

_FINETUNE_DESCRIPTION = """\
Fine-tune a copy of a run's network on its labelled images, the second step of SimCLRv2.
Worth it with some hundred labels and more; with few the linear probe on the frozen
network, which the other commands take where there is nothing else, is as good or
better."""

_DISTIL_DESCRIPTION = """\
Teach a network what a run's classifier says of all of its images, labelled or not, the
third step of SimCLRv2: a smaller one, to be quicker, or one like it. The teacher is the
run's classifier.keras, otherwise its linear probe."""

_TRAINED_EPILOG = """\
what is written to RUN (or --out):
  classifier.keras  images to probabilities; semppl export, label and report take it
                    from RUN
  classifier.json   how it was trained; on the run's test images, if there are any,
                    accuracy, accuracy by class, calibration
An earlier classifier there is kept as classifier_1.keras, classifier_2.keras, ..."""

_FINETUNE_EPILOG = (
    _TRAINED_EPILOG
    + """

examples:
  semppl finetune runs/flowers
  semppl finetune runs/flowers --from-layer 0 --epochs 30 --out runs/flowers_tuned"""
)

_DISTIL_EPILOG = (
    _TRAINED_EPILOG
    + """

examples:
  semppl distil runs/flowers
  semppl distil runs/flowers --student small --out runs/flowers_small"""
)


def add_arguments(commands):
    """Adds the commands.

    Args:
        commands: What `add_subparsers` returned.
    """
    _add_export(commands)
    _add_label(commands)
    _add_views(commands)
    _add_report(commands)
    _add_finetune(commands)
    _add_distil(commands)


def new_command(commands, name, help, description, epilog):
    """The parser of a command, its texts printed line by line as they are."""
    return commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_run(parser):
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


def _add_source(parser):
    parser.add_argument(
        "source",
        metavar="DIR",
        help="folder of image files, however deep, or another source of images that "
        "semppl train --unlabelled takes",
    )


def _add_classifier(parser):
    parser.add_argument(
        "--classifier",
        metavar="FILE",
        help="another classifier.keras that semppl finetune or semppl distil has "
        "written (default: the run's, or its linear probe)",
    )


def _add_export(commands):
    parser = new_command(
        commands,
        "export",
        "write a finished run as SavedModel, ONNX, LiteRT or Keras model",
        _EXPORT_DESCRIPTION,
        _EXPORT_EPILOG,
    )
    _add_run(parser)
    parser.add_argument(
        "--format",
        required=True,
        choices=["saved_model", "keras", "onnx", "litert"],
        help="what is written",
    )
    parser.add_argument(
        "--what",
        choices=["classifier", "backbone"],
        default="classifier",
        help="images to probabilities, or to features (default: classifier)",
    )
    _add_classifier(parser)
    parser.add_argument(
        "--out",
        metavar="PATH",
        help="where (default: RUN/exported/classifier or backbone, with the ending of "
        "the format); nothing is overwritten",
    )


def _add_label(commands):
    parser = new_command(
        commands,
        "label",
        "label images with a finished run",
        _LABEL_DESCRIPTION,
        _LABEL_EPILOG,
    )
    _add_run(parser)
    _add_source(parser)
    parser.add_argument(
        "--out",
        metavar="FILE",
        default="labels.csv",
        help="the table (default: labels.csv)",
    )
    parser.add_argument(
        "--min-confidence",
        type=share,
        metavar="P",
        help="leave out images whose label is less probable, such as 0.9 or 90%%",
    )
    parser.add_argument(
        "--review",
        type=at_least(1),
        metavar="N",
        help="write a page with the N images whose labels would teach most",
    )
    parser.add_argument(
        "--review-out",
        metavar="FILE",
        help="where (default: beside the table, .review.html)",
    )
    parser.add_argument(
        "--move-into",
        metavar="DIR",
        help="copy the images that the table has into a folder of each class in DIR",
    )
    parser.add_argument(
        "--move",
        action="store_true",
        help="with --move-into: move them instead; what is reached through links, and "
        "the run's labelled images, are copied",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files that are there already",
    )
    _add_classifier(parser)


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


def _add_views(commands):
    parser = new_command(
        commands,
        "views",
        "draw augmented views of images, before training",
        _VIEWS_DESCRIPTION,
        _VIEWS_EPILOG,
    )
    _add_source(parser)
    parser.add_argument(
        "--views",
        choices=["digits", "imagenet", "small_images"],
        help="whose views (default: those that semppl train takes for your own images)",
    )
    parser.add_argument(
        "--image-size",
        type=at_least(8),
        metavar="N",
        help="pixels of a side, as for semppl train (default: that of the images, at "
        "most 96)",
    )
    add_value_range(parser)
    parser.add_argument(
        "--images",
        type=at_least(1),
        metavar="N",
        default=6,
        help="how many images, drawn by seed (default: 6)",
    )
    parser.add_argument(
        "--draws",
        type=at_least(1),
        metavar="N",
        default=3,
        help="how often views are drawn of each (default: 3)",
    )
    parser.add_argument(
        "--seed", type=at_least(0), metavar="N", default=0, help="default: 0"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        default="views.png",
        help="the picture (default: views.png)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a file that is there already"
    )


def _add_report(commands):
    parser = new_command(
        commands,
        "report",
        "write an HTML page about a finished run",
        _REPORT_DESCRIPTION,
        _REPORT_EPILOG,
    )
    _add_run(parser)
    _add_classifier(parser)
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="where (default: RUN/report.html, replaced if it is there)",
    )


def _add_finetune(commands):
    parser = new_command(
        commands,
        "finetune",
        "train a classifier out of a finished run, on its labels",
        _FINETUNE_DESCRIPTION,
        _FINETUNE_EPILOG,
    )
    _add_run(parser)
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
    _add_training(parser, "some 300 steps, at least 10")


def _add_distil(commands):
    parser = new_command(
        commands,
        "distil",
        "teach a network what a run's classifier says of its images",
        _DISTIL_DESCRIPTION,
        _DISTIL_EPILOG,
    )
    _add_run(parser)
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
    _add_classifier(parser)
    _add_training(parser, "some 1,000 steps")


def _add_training(parser, epochs):
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
