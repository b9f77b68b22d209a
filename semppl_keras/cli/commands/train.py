"""`semppl train`: train on images of which a few are labelled."""

import argparse

from semppl_keras.callbacks.defaults import CHECKPOINT_MINUTES
from semppl_keras.cli.arguments import (
    BACKBONE_FORMS,
    add_balance,
    add_fit,
    add_log,
    add_max_megapixels,
    add_minutes,
    add_photos,
    add_table_options,
    add_trust,
    add_value_range,
    integer,
    integer_or_text,
    number,
    share,
)
from semppl_keras.data.defaults import (
    CACHES,
    DATASET,
    LABELS_PER_CLASS,
    LARGEST_USUAL_SIDE,
    MAX_SKIPPED,
)
from semppl_keras.recipes.defaults import (
    LARGE_BACKBONE,
    OWN_STEPS,
    PRETRAINED_BACKBONE,
    PRETRAINED_STEPS,
    RECIPE_NAMES,
    SMALL,
    SMALL_BACKBONE,
)
from semppl_keras.runs.options.train import (
    OWN_LABELS_PER_CLASS,
    SEED,
    TrainOptions,
)

OPTIONS = TrainOptions

SUMMARY = "train on a data set of which a few images are labelled, and report"

DESCRIPTION = """\
Train SemPPL on images of which only a few are labelled, and compare it with what
these labels give without the other images.

With --unlabelled and --labelled: on your own images, none of which is changed.
Without options: scikit-learn's handwritten digits, 10 labels of each digit. Nothing
is downloaded; it takes a minute or two on two CPU cores.

KERAS_BACKEND=tensorflow, jax or torch chooses what runs the networks."""

EPILOG = """\
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
  FILE.json       labels as Label Studio, COCO or FiftyOne write them
  npz:FILE        a NumPy archive with images and labels
  tfds:NAME       a data set of TensorFlow Datasets, or tfds:NAME#SPLIT
  tfrecord:FILES  TFRecords of encoded images, wildcards allowed, or
                  arrayrecord:FILES, ArrayRecords of the same
  What cannot be read is left out and named in skipped.tsv. Without --test the accuracy
  is estimated by cross-validation on the labels, which the network has trained with.

what is written to DIR:
  metrics.json     supervised_accuracy, frozen_linear_accuracy, linear_accuracy,
                   propagation_accuracy, ... (test images), classifier (the best by
                   cross-validation on the labels), train_seconds, ...
  report.png       training curves, pseudo-labels, embeddings, confusion matrix
  model.keras      the trained model: import semppl_keras, then
                   keras.models.load_model("DIR/model.keras")
  history.json     every epoch's losses and metrics
  logs/            the same for TensorBoard
  heads/, frozen.keras         classifiers to choose from; the backbone before training
  run.json, checkpoints/       what --resume needs; the latter go with the end
  labelled.csv, unlabelled.csv own images: which files it was trained with
  backbone.keras   the file that --backbone names, if it does, as it was
  skipped.tsv, cache/          own images: those left out, and those decoded

examples:
  semppl train
  semppl train --labels-per-class 1 --seed 2 --out runs/one_label
  semppl train --dataset npz:fashion_mnist.npz --epochs 20 --out runs/fashion
  semppl train --dataset npz:fashion_mnist.npz --minutes 10 --out runs/quick
  semppl train --unlabelled photos --labelled labels.csv --out runs/photos
  semppl train --unlabelled photos --labelled sorted --test held_out --image-size 96
  semppl train --unlabelled photos --labelled sorted --backbone hub:dinov2_small
  semppl train --unlabelled a_million --labelled labels.csv --cache none
  semppl train --recipe imagenet --dataset tfds:imagenet2012 \\
      --labelled-list 10percent.txt
  semppl train --resume runs/fashion
  semppl train --from runs/photos --labelled more.csv --out runs/photos_2
  semppl train --from runs/photos --labelled more.csv --epochs 0 --out runs/quick"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    data = parser.add_argument_group("data set")
    # No defaults here: --resume has to know what was asked for and what was not.
    data.add_argument(
        "--dataset",
        metavar="SPEC",
        help=f"npz:FILE, tfds:NAME or folder:DIR (default: {DATASET})",
    )
    data.add_argument(
        "--labelled-list",
        metavar="FILE",
        help="with --dataset tfds:NAME: names of files, one a line, which alone are "
        "labelled, such as a published 1%% or 10%% of ImageNet",
    )
    data.add_argument(
        "--labels-per-class",
        type=integer_or_text,
        metavar="N",
        help="labelled images of each class, drawn by seed; 'all' for every image "
        f"whose label is known (default: {LABELS_PER_CLASS}, of your own images "
        f"{OWN_LABELS_PER_CLASS})",
    )
    images = parser.add_argument_group("your own images")
    images.add_argument(
        "--unlabelled",
        metavar="SOURCE",
        help="your own images, to learn from without labels: a folder or another "
        "source below; goes with --labelled",
    )
    images.add_argument(
        "--labelled",
        metavar="SOURCE",
        help="those with labels: a folder for each class, or a table of path,label",
    )
    images.add_argument(
        "--test", metavar="SOURCE", help="with labels, to test on (default: none)"
    )
    images.add_argument(
        "--image-size",
        type=integer,
        metavar="N",
        help="pixels of a side of the squares that your own images become (default: "
        "the size that a pretrained backbone was trained with, else that of the "
        f"labelled images, at most {LARGEST_USUAL_SIDE})",
    )
    add_fit(images)
    add_value_range(images)
    images.add_argument(
        "--max-skipped",
        type=share,
        metavar="SHARE",
        help="how many of your own images may be unreadable (default: "
        f"{100 * MAX_SKIPPED:g}%%)",
    )
    add_max_megapixels(images, "89")
    images.add_argument(
        "--cache",
        metavar=f"{{{','.join(CACHES)}}}",
        help="where your own images, decoded, are kept; none: decoded for each batch "
        "anew, without a wait before training (default: in memory where they fit, else "
        "in DIR, else none)",
    )
    add_table_options(parser)
    training = parser.add_argument_group("training")
    training.add_argument(
        "--recipe",
        metavar=f"{{{','.join(RECIPE_NAMES)}}}",
        help="the settings of the training, network and all; imagenet is the paper's "
        "(default: by the images)",
    )
    training.add_argument(
        "--backbone",
        metavar="SPEC",
        help=f"the network for your own images: {BACKBONE_FORMS} (default: "
        f"{SMALL_BACKBONE} up to {SMALL} pixels, else {PRETRAINED_BACKBONE}, or "
        f"{LARGE_BACKBONE} where its weights cannot be fetched)",
    )
    training.add_argument(
        "--epochs",
        type=integer,
        metavar="N",
        help="passes over the unlabelled images; warm-up and schedules stretch with "
        "it; 0 for none: a pretrained --backbone as it is, or what needs no training "
        "(default: the recipe's; of your own images as many as make "
        f"{OWN_STEPS:,} steps, with a pretrained --backbone {PRETRAINED_STEPS})",
    )
    add_minutes(training, "the whole run, measuring and all,")
    training.add_argument(
        "--batch-size",
        type=integer,
        metavar="N",
        help="unlabelled images per step, labelled ones in proportion: fewer take less "
        "memory (default: the recipe's)",
    )
    training.add_argument(
        "--learning-rate",
        type=number,
        metavar="X",
        help="its peak after the warm-up: lower if the training diverges (default: the "
        "recipe's)",
    )
    training.add_argument(
        "--seed",
        type=integer,
        metavar="N",
        help=f"draws split, labelled images, weights and views (default: {SEED})",
    )
    training.add_argument(
        "--strangers",
        action="store_true",
        default=None,
        help="unlabelled images that may show none of the classes, by the features of "
        "a pretrained --backbone, teach less: with many of them a little better, else "
        "of no effect",
    )
    add_balance(training)
    folder = parser.add_argument_group("run folder")
    folder.add_argument(
        "--out",
        metavar="DIR",
        help="run folder (default: runs/DATASET_N_per_class_seed_SEED, of your own "
        "images with all labels runs/NAME_own_labels_seed_SEED); one that holds a run "
        "is never overwritten",
    )
    folder.add_argument(
        "--checkpoint-minutes",
        type=number,
        metavar="N",
        help="within an epoch there is a checkpoint every N minutes (default: "
        f"{CHECKPOINT_MINUTES:g}), beside that at its end",
    )
    add_log(
        folder,
        "the training of SemPPL, and what is measured in the end,",
        "tensorboard adds both the steps and that to what logs/ has (default: logs/ "
        "alone)",
    )
    folder.add_argument(
        "--resume",
        nargs="?",
        const=True,
        metavar="DIR",
        help="go on with the run in DIR (or --out) where it was interrupted, by Ctrl-C "
        "or in any other way; its options are read from there",
    )
    folder.add_argument(
        "--from",
        dest="from_run",
        metavar="RUN",
        help="go on from the network and the labels of a finished run, in a new folder "
        "(--out): --labelled are further labels, of which the later count, "
        "--unlabelled further images; with --epochs 0 the network stays as it is and "
        "the classifiers alone are made anew",
    )
    add_photos(folder, "with --resume or --from: ")
    add_trust(folder, "with --backbone: FILE.keras, with --resume or --from: RUN")


def run(options: TrainOptions) -> None:
    """Does what the options say."""
    from semppl_keras.runs.training_stages import train_with

    train_with(options)


def how_to_go_on(options: TrainOptions) -> str:
    """The sentence for someone who has just interrupted the command."""
    from semppl_keras.runs.run_place import run_folder

    folder = run_folder(options)
    if not (folder / "run.json").exists():
        return "Nothing was written."
    return f"Go on with: semppl train --resume {folder}"
