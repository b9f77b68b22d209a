"""`semppl import`: a published checkpoint becomes a Keras model."""

import argparse

from semppl_keras.runs.options.importing import FAMILIES, FORMATS, ImportOptions

OPTIONS = ImportOptions

SUMMARY = "make a Keras model of a published checkpoint"

DESCRIPTION = """\
Make a Keras model of a checkpoint that the authors of SemPPL, BYOL or SimCLRv2
published: the backbone, from images (RGB in [0, 1]) to features. Nothing that a
checkpoint asks for is executed."""

EPILOG = """\
checkpoints:
  FILE.pkl          of DeepMind (SemPPL, BYOL): ResNet-18 to 200 of any width
  PREFIX or FOLDER  of SimCLRv2: model.ckpt-N, with selective kernels or without;
                    TensorFlow reads it

The heads are to be had from Python: semppl_keras.checkpoints.load_deepmind and
load_simclr.

examples:
  semppl import pretrain_res50x1.pkl --out resnet50.keras
  semppl import r50_1x_sk1/model.ckpt-250228 --format saved_model --out served"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", help="a file, a prefix or a folder"
    )
    source = parser.add_argument_group("checkpoint")
    source.add_argument(
        "--family",
        metavar=f"{{{','.join(FAMILIES)}}}",
        default=ImportOptions.family,
        help="whose checkpoint it is (default: told from its files)",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--format",
        metavar=f"{{{','.join(FORMATS)}}}",
        default=ImportOptions.format,
        help=f"what is written (default: {ImportOptions.format})",
    )
    output.add_argument(
        "--out",
        metavar="PATH",
        help="where (default: CHECKPOINT_backbone.keras, or a folder without .keras, "
        "in the working folder); nothing is overwritten",
    )


def run(options: ImportOptions) -> None:
    """Does what the options say."""
    from semppl_keras.runs.importing import import_checkpoint_with

    import_checkpoint_with(options)


def how_to_go_on(options: ImportOptions) -> str:
    """The sentence for someone who has just interrupted an import."""
    return "Run the same command again."
