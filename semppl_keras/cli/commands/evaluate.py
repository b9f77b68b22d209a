"""`semppl evaluate`: measure finished runs."""

import argparse
import textwrap

from semppl_keras.cli.arguments import (
    RUN_HELP,
    add_classifier,
    add_photos,
    add_table_options,
    add_trust,
    integer,
    integer_or_text,
    integers,
    names,
)
from semppl_keras.evaluation.corruption_names import CORRUPTIONS, SEVERITIES
from semppl_keras.runs.options.evaluate import EvaluateOptions

OPTIONS = EvaluateOptions

SUMMARY = "measure finished runs, on their own data or on other"

DESCRIPTION = """\
Measure finished runs on test images: accuracy, accuracy by class, confusion and
calibration of several classifiers, each trained on the labelled images alone.

Without options: on the run's own data, split and labelled as in training. With --data
another data set: its labelled images train the classifiers on the features of the
frozen network (transfer), or, with --same-classes, the classifiers of the run are
tested on its test images (out of distribution). With --test the classifiers of the run
are tested on your own images of its classes.

Several RUNs that differ in the seed alone, or in their labels, and are tested on the
same images, wherever these are: also their mean and its 95% interval."""

EPILOG = (
    """\
classifiers:
  supervised only        logistic regression on the pixels of the labelled images
  nearest in its memory  the vote of the embeddings in the model's memory
  nearest neighbours     of the labelled images' features, weighted by similarity
  linear probe           logistic regression on these features
  fine-tuned             with --fine-tune: the whole network, trained on the labels
  the run's classifier   what semppl label uses, or --classifier

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
  npz:FILE, tfds:NAME or tfds:NAME#SPLIT, tfrecord:FILES, arrayrecord:FILES, as for
  semppl train
  They are brought to the size of the run's images. Classes are those of the run by
  name; images of others, and those that cannot be read, are left out and told.

corruptions:
"""
    + textwrap.fill(
        ", ".join(CORRUPTIONS), 88, initial_indent="  ", subsequent_indent="  "
    )
    + """

examples:
  semppl evaluate runs/digits_10_per_class_seed_0
  semppl evaluate runs/digits_10_per_class_seed_* --fine-tune --out runs/mean
  semppl evaluate runs/fashion --robustness --severities 1,3,5
  semppl evaluate runs/fashion --labels-per-class 1% --fine-tune --out runs/one_percent
  semppl evaluate runs/fashion --data tfds:mnist --labels-per-class 10
  semppl evaluate runs/digits --data folder:scanned --same-classes
  semppl evaluate runs/photos --test held_out --fine-tune"""
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help=RUN_HELP)
    of_runs = parser.add_argument_group("the runs")
    add_photos(of_runs)
    add_trust(of_runs)
    data = parser.add_argument_group("test images")
    data.add_argument(
        "--data",
        metavar="SPEC",
        help="digits, npz:FILE, tfds:NAME or folder:DIR, as for semppl train "
        "(default: the data of the run)",
    )
    data.add_argument(
        "--test",
        metavar="SOURCE",
        help="your own images of the run's classes, to test what the run has learned: "
        "a folder for each class, a table of path,label or another source below",
    )
    data.add_argument(
        "--same-classes",
        action="store_true",
        help="the classes of --data are among those of the run: test what the run has "
        "learned from its own labels; no images to train on are needed",
    )
    add_table_options(parser)
    classifiers = parser.add_argument_group("classifiers")
    classifiers.add_argument(
        "--labels-per-class",
        type=integer_or_text,
        metavar="N",
        help="labelled images of each class for the classifiers, drawn by seed; "
        "'10%%' for a share of each class, 'all' for every image whose label is known "
        "(default: as the run)",
    )
    classifiers.add_argument(
        "--fine-tune",
        action="store_true",
        help="train a copy of the network on the labelled images, too",
    )
    classifiers.add_argument(
        "--from-layer",
        type=integer,
        metavar="N",
        help="fine-tune from this layer of the projection head, 0 for the network "
        "alone (default: its first)",
    )
    add_classifier(classifiers)
    classifiers.add_argument(
        "--seed",
        type=integer,
        metavar="N",
        help="draws cross-validation, fine-tuning, corruptions and the labelled images "
        "of another data set (default: the run's)",
    )
    corrupted = parser.add_argument_group("corrupted images")
    corrupted.add_argument(
        "--robustness",
        action="store_true",
        help="test on corrupted images, too",
    )
    corrupted.add_argument(
        "--severities",
        type=integers,
        metavar="N,N",
        help=f"how strongly they are corrupted, out of {min(SEVERITIES)} to "
        f"{max(SEVERITIES)} (default: {','.join(map(str, SEVERITIES))})",
    )
    corrupted.add_argument(
        "--corruptions",
        type=names,
        metavar="NAME,NAME",
        help=f"which of the corruptions below (default: all {len(CORRUPTIONS)})",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out",
        metavar="DIR",
        help="write there instead; for several RUNs to a folder of each, beside an "
        "evaluation.json with their mean",
    )


def run(options: EvaluateOptions) -> None:
    """Does what the options say."""
    from semppl_keras.runs.evaluating import evaluate_with

    evaluate_with(options)


def how_to_go_on(options: EvaluateOptions) -> str:
    """The sentence for someone who has just interrupted the command."""
    if len(options.runs) == 1:
        return "Nothing was written."
    return "The runs with a table above are written, the others are not."
