"""The arguments of the commands that work on finished runs, and of `semppl views`.

The standard library alone, as everywhere in parsing.
"""

import argparse

# Commands of which the module has another name.
MODULES = {"report": "run_report"}

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


def add_arguments(commands):
    """Adds the commands.

    Args:
        commands: What `add_subparsers` returned.
    """
    _add_export(commands)


def _new(commands, name, help, description, epilog):
    return commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_run(parser):
    parser.add_argument("run", metavar="RUN", help="folder of a run that is finished")


def _add_classifier(parser):
    parser.add_argument(
        "--classifier",
        metavar="FILE",
        help="another classifier.keras that semppl finetune or semppl distil has "
        "written (default: the run's, or its linear probe)",
    )


def _add_export(commands):
    parser = _new(
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
