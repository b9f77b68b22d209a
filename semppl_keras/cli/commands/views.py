"""`semppl views`: draw augmented views."""

from semppl_keras.cli.arguments import add_source, add_value_range, at_least

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


def add_arguments(parser):
    """Adds the options of the command."""
    add_source(parser)
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


def run(arguments):
    """Does what the parsed arguments say."""
    from semppl_keras.runs import viewing

    return viewing.run(arguments)


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted the command."""
    from semppl_keras.runs import viewing

    return viewing.how_to_go_on(arguments)
