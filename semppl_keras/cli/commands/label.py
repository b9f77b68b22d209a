"""`semppl label`: label images with a finished run."""

import argparse

from semppl_keras.cli.arguments import (
    add_classifier,
    add_max_megapixels,
    add_run,
    add_source,
    integer,
    share,
)
from semppl_keras.data.defaults import LABEL_FORMATS
from semppl_keras.runs.options.label import LabelOptions

OPTIONS = LabelOptions

SUMMARY = "label images with a finished run"

DESCRIPTION = """\
Label images with a finished run: by its fine-tuned or distilled classifier, otherwise
by that which is best by cross-validation on the labels; it says which. Images are read
and never changed."""

EPILOG = """\
what is written:
  labels.csv         path, label, confidence (its probability), second and second_share
                     (the next class and its probability), nearest_1 to nearest_3 (the
                     labelled images whose features are nearest), given_label (the class
                     that the run was given of an image), none_of_these (how probable it
                     is that it shows none of the classes); paths relative to the table;
                     semppl train --labelled takes it
  labels.skipped.tsv the files that could not be read, and why
  labels.review.html with --review: a page to look through the images whose labels would
                     teach most, typical ones of what no label is like, to label;
                     it saves a table for semppl train --labelled

examples:
  semppl label runs/flowers photos --out labels.csv
  semppl label runs/flowers photos --format label-studio --out tasks.json
  semppl label runs/flowers photos --min-confidence 0.9 --move-into sorted
  semppl label runs/flowers photos --review 50"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_classifier(add_run(parser))
    add_source(parser)
    table = parser.add_argument_group("table of labels")
    table.add_argument(
        "--out",
        metavar="FILE",
        help="the table, or what --format says (default: labels.csv, labels.json, ...)",
    )
    table.add_argument(
        "--format",
        metavar=f"{{{','.join(LABEL_FORMATS)}}}",
        help="csv, a table; for other programs label-studio, coco or fiftyone (a "
        "folder), and npz or parquet for their features, too (default: as the file "
        "ends, csv)",
    )
    table.add_argument(
        "--copy-images",
        action="store_true",
        help="with --format fiftyone: copy the images beside their labels",
    )
    table.add_argument(
        "--min-confidence",
        type=share,
        metavar="P",
        help="leave out images whose label is less probable, such as 0.9 or 90%%",
    )
    table.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files that are there already",
    )
    add_max_megapixels(table, "the run's")
    review = parser.add_argument_group("page to look through")
    review.add_argument(
        "--review",
        type=integer,
        metavar="N",
        help="write a page with the N images whose labels would teach most",
    )
    review.add_argument(
        "--review-out",
        metavar="FILE",
        help="where (default: beside the table, .review.html)",
    )
    sorting = parser.add_argument_group("folders of classes")
    sorting.add_argument(
        "--move-into",
        metavar="DIR",
        help="copy the images that the table has into a folder of each class in DIR",
    )
    sorting.add_argument(
        "--move",
        action="store_true",
        help="with --move-into: move them instead; what is reached through links, and "
        "the run's labelled images, are copied",
    )


def run(options: LabelOptions) -> None:
    """Does what the options say."""
    from semppl_keras.runs.labelling import label_with

    label_with(options)


def how_to_go_on(options: LabelOptions) -> str:
    """The sentence for someone who has just interrupted the command."""
    return "Run the same command again, with --overwrite where something is there."
