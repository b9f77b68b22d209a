"""`semppl pack`: write a finished run to one file."""

import argparse

from semppl_keras.cli.arguments import add_packed_run, add_trust
from semppl_keras.runs.options.pack import PackOptions

OPTIONS = PackOptions

SUMMARY = "write what is needed of a finished run to one file"

DESCRIPTION = """\
Write what later commands need of a finished run to FILE.zip, without checkpoints, logs
and caches. They take this file in the place of the run's folder, on any machine, and
treat it like the run of someone else: where its images are is not followed.

A run keeps its labelled images and some of the others as the network saw them
(images.npz), which are in the file, too."""

EPILOG = """\
examples:
  semppl pack runs/flowers flowers.zip
  semppl label flowers.zip new_photos
  semppl finetune flowers.zip --out runs/flowers_tuned"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_packed_run(parser)
    parser.add_argument(
        "file", metavar="FILE", help="file to write, .zip; nothing is overwritten"
    )
    add_trust(parser.add_argument_group("the run"))


def run(options: PackOptions) -> None:
    """Does what the options say."""
    from semppl_keras.runs.packing import pack_with

    pack_with(options)


def how_to_go_on(options: PackOptions) -> str:
    """The sentence for someone who has just interrupted the command."""
    return "Nothing was written. Run the same command again."
