"""`semppl views`: the views of training, before anyone trains."""

import os
import pathlib
import sys

import numpy as np

from semppl_keras import recipes
from semppl_keras.data.images.decoding import decode_into, find_ranges
from semppl_keras.data.images.files import OWN_PICTURES
from semppl_keras.data.images.sources import ImageList, open_images
from semppl_keras.data.own_images import LARGEST_USUAL_SIDE
from semppl_keras.reports.view_grid import draw_views
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.folder import user_errors
from semppl_keras.runs.out_paths import check_can_write
from semppl_keras.runs.terminal import shown
from semppl_keras.views import recipe

_SMALLEST = 8


def run(arguments):
    """Draws views of some images of a folder, as the parsed arguments say.

    Args:
        arguments: Namespace with `source`, `views`, `image_size` and `value_range`
            (None where not given), `images`, `draws`, `seed`, `out` and `overwrite`.

    Returns:
        `pathlib.Path` of the picture.

    Raises:
        RunError: What the user asked for cannot be done.
    """
    out = pathlib.Path(arguments.out)
    if out.suffix.lower() != ".png":
        raise RunError(f"--out must end in .png. Received: {out}.")
    check_can_write(out)
    if out.exists() and not arguments.overwrite:
        raise RunError(
            f"{out} exists already. Choose another --out, or add --overwrite."
        )
    with user_errors():
        listed = open_images(arguments.source, "unlabelled")
        size = arguments.image_size or _usual_size(listed)
        views = _views(arguments.views, size)
        ranges, remarks = find_ranges(listed, arguments.value_range)
        images, skipped = _some(listed, size, arguments.images, arguments.seed, ranges)
    for remark in (*listed.remarks, *remarks):
        print(f"Note: {remark}", flush=True)
    for entry in skipped:
        print(f"not read: {shown(entry.name)}: {shown(entry.reason)}", file=sys.stderr)
    if not len(images):
        raise RunError(
            f"There must be images that can be read in {arguments.source}. Received: "
            f"{len(skipped):,} that cannot, tried at random."
        )
    figure = draw_views(views, images, arguments.draws, arguments.seed)
    figure.suptitle(
        f"{len(images)} of {len(listed):,} images, {size} pixels a side", fontsize=9
    )
    with user_errors():
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_name(out.name + ".partial")
        # So that it is not taken for a photograph.
        figure.savefig(partial, format="png", metadata=OWN_PICTURES)
        os.replace(partial, out)
    print(f"What training would see of {len(images)} images: {out}")
    return out


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted it."""
    return "Nothing was written."


def _usual_size(listed):
    """As `semppl train` chooses it."""
    side = listed.usual_side() or LARGEST_USUAL_SIDE
    return max(_SMALLEST, min(side, LARGEST_USUAL_SIDE))


def _views(name, size):
    if name is None:
        return recipes.own_images(size).make_views()
    views = recipe(name)
    if views.num_small:
        # In proportion, as the recipe has them.
        small = max(_SMALLEST, round(views.small_size * size / views.large_size))
        return recipe(name, large_size=size, small_size=small)
    return recipe(name, large_size=size)


def _some(listed, size, count, seed, ranges):
    """Some images `(n, size, size, channels)`, and `Skipped` of the others tried."""
    order = np.random.default_rng(seed).permutation(len(listed))
    channels = 3 if listed.coloured() else 1
    # A few to spare, for those that cannot be read.
    chosen = _subset(listed, np.sort(order[: 2 * count]))
    rows = np.empty((len(chosen), size, size, channels), "uint8")
    decoded = decode_into(rows, chosen, ranges=ranges, max_skipped=1.0)
    return rows[: len(decoded.kept)][:count], decoded.skipped


def _subset(listed, indices):
    """Those of an `ImageList` at sorted indices."""
    chosen = set(indices.tolist())
    return ImageList(
        tuple(listed.names[index] for index in indices),
        None,
        lambda: (c for index, c in enumerate(listed.contents()) if index in chosen),
        tuple(listed.states[index] for index in indices),
    )
