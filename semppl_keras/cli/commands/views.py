"""`semppl views`: draw augmented views."""

import argparse

from semppl_keras.cli.arguments import (
    BACKBONE_FORMS,
    add_fit,
    add_source,
    add_value_range,
    integer,
)
from semppl_keras.data.defaults import LARGEST_USUAL_SIDE
from semppl_keras.runs.options.views import VIEWS, ViewsOptions

OPTIONS = ViewsOptions

SUMMARY = "draw augmented views of images, before training"

DESCRIPTION = """\
Draw what training would make of some images of a folder: a row for each, with the
image, the square that is seen without augmentation, and random views of it. Where they
no longer show what the label says, choose another image size or write views of your own
(semppl_keras.views.MultiCrop)."""

EPILOG = """\
examples:
  semppl views photos
  semppl views photos --image-size 64 --views imagenet --out imagenet.png"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_source(parser)
    images = parser.add_argument_group("images")
    images.add_argument(
        "--images",
        type=integer,
        metavar="N",
        default=ViewsOptions.images,
        help=f"how many images, drawn by seed (default: {ViewsOptions.images})",
    )
    images.add_argument(
        "--image-size",
        type=integer,
        metavar="N",
        help="pixels of a side, as for semppl train (default: the size that the "
        "network was trained with, otherwise that of the images, at most "
        f"{LARGEST_USUAL_SIDE})",
    )
    add_fit(images, ViewsOptions.fit)
    add_value_range(images)
    images.add_argument(
        "--seed",
        type=integer,
        metavar="N",
        default=ViewsOptions.seed,
        help=f"default: {ViewsOptions.seed}",
    )
    drawn = parser.add_argument_group("views")
    drawn.add_argument(
        "--views",
        metavar=f"{{{','.join(VIEWS)}}}",
        help="whose views (default: those that semppl train takes for your own images)",
    )
    drawn.add_argument(
        "--backbone",
        metavar="SPEC",
        help="those for which network, and of the size that it was trained with: "
        f"{BACKBONE_FORMS} (default: the one that semppl train takes, or with --views "
        "none)",
    )
    drawn.add_argument(
        "--draws",
        type=integer,
        metavar="N",
        default=ViewsOptions.draws,
        help=f"how often views are drawn of each (default: {ViewsOptions.draws})",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out",
        metavar="FILE",
        default=ViewsOptions.out,
        help=f"the picture (default: {ViewsOptions.out})",
    )
    output.add_argument(
        "--overwrite", action="store_true", help="replace a file that is there already"
    )


def run(options: ViewsOptions) -> None:
    """Does what the options say."""
    from semppl_keras.runs.viewing import views_with

    views_with(options)


def how_to_go_on(options: ViewsOptions) -> str:
    """The sentence for someone who has just interrupted the command."""
    return "Nothing was written."
