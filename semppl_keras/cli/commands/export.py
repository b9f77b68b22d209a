"""`semppl export`: write a finished run to be served."""

import argparse

from semppl_keras.cli.arguments import add_classifier, add_run
from semppl_keras.runs.options.export import (
    BACKBONE,
    CLASSIFIER,
    FORMATS,
    ExportOptions,
)

OPTIONS = ExportOptions

SUMMARY = "write a finished run as SavedModel, ONNX, LiteRT or Keras model"

DESCRIPTION = """\
Write a finished run so that it can be served without this package: images as they are
go in, uint8 and of any size, and probabilities with class names come out.

The classifier is the fine-tuned or distilled one where RUN has one (classifier.keras),
otherwise that which is best by cross-validation on the labels; it says which."""

EPILOG = """\
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_classifier(add_run(parser))
    output = parser.add_argument_group("output")
    output.add_argument(
        "--format",
        required=True,
        metavar=f"{{{','.join(FORMATS)}}}",
        help="what is written",
    )
    output.add_argument(
        "--what",
        metavar=f"{{{CLASSIFIER},{BACKBONE}}}",
        default=ExportOptions.what,
        help=f"images to probabilities, or to features (default: {ExportOptions.what})",
    )
    output.add_argument(
        "--out",
        metavar="PATH",
        help="where (default: RUN/exported/classifier or backbone, with the ending of "
        "the format); nothing is overwritten",
    )


def run(options: ExportOptions) -> None:
    """Does what the options say."""
    from semppl_keras.runs.exporting import export_with

    export_with(options)


def how_to_go_on(options: ExportOptions) -> str:
    """The sentence for someone who has just interrupted the command."""
    return "Nothing was written. Run the same command again."
