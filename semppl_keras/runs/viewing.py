"""The views of training, before anyone trains."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from semppl_keras import backbones, recipes
from semppl_keras.backbones import is_pretrained
from semppl_keras.data.datasets.opened_images import usual_size
from semppl_keras.data.images.decoding import decode_into, find_ranges
from semppl_keras.data.images.image_list import ImageList
from semppl_keras.data.images.sources import open_images
from semppl_keras.own_output import PICTURE
from semppl_keras.recipes.defaults import PRETRAINED_BACKBONE, SMALL
from semppl_keras.reports.shown import shown
from semppl_keras.reports.view_grid import draw_views
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.views import SMALLEST, ViewsOptions
from semppl_keras.runs.safety.out_paths import check_can_write
from semppl_keras.runs.telling import tell, told
from semppl_keras.runs.whole_files import whole_file
from semppl_keras.views import MultiCrop, recipe


@told
def views(
    source: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] = ViewsOptions.out,
    views: str | None = None,
    backbone: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    fit: str = ViewsOptions.fit,
    value_range: tuple[float, float] | None = None,
    images: int = ViewsOptions.images,
    draws: int = ViewsOptions.draws,
    seed: int = ViewsOptions.seed,
    overwrite: bool = False,
    verbose: int = 1,
) -> pathlib.Path:
    """Draws what training would see of some images of a folder.

    Args:
        source: Folder of images, or another source of them.
        out: The picture to write, a PNG file.
        views: "digits", "imagenet", "mild" or "small_images", whose views; None for
            those that `train` takes for your own images.
        backbone: As for `train`: its views, of the size that it was trained with. None
            for the network that `train` takes, or for none where `views` are named.
        image_size: Integer, at least 8, as for `train`. None for the size that the
            network was trained with, otherwise for that of the images, at most
            `data.defaults.LARGEST_USUAL_SIDE`.
        fit: How images become squares, "pad", "crop" or "stretch", as for `train`.
        value_range: What becomes black and white in images of more than 8 bits a
            channel, as for `train`.
        images: How many images.
        draws: How often views are drawn of each.
        seed: Integer, draws images and views.
        overwrite: Whether a picture that is there already is replaced.
        verbose: 0 to say nothing, 1 for what the command says, 2 for more.

    Returns:
        `pathlib.Path` of the picture.

    Raises:
        RunError: A value is wrong, or what was asked for cannot be done.
        TypeError: A value is of the wrong kind.

    Example:
        >>> views("photos", out="views.png")
    """
    return views_with(
        ViewsOptions.of(
            source=source,
            out=out,
            views=views,
            backbone=backbone,
            image_size=image_size,
            fit=fit,
            value_range=value_range,
            images=images,
            draws=draws,
            seed=seed,
            overwrite=overwrite,
        )
    )


def views_with(options: ViewsOptions) -> pathlib.Path:
    """The same, of options that are filled already."""
    target = pathlib.Path(options.out)
    if target.suffix.lower() != ".png":
        raise RunError(f"--out must end in .png. Received: {target}.")
    check_can_write(target)
    if target.exists() and not options.overwrite:
        raise RunError(
            f"{target} exists already. Choose another --out, or add --overwrite."
        )
    listed = open_images(options.source, "unlabelled")
    backbone = _backbone(options, listed)
    size = (
        options.image_size or _usual_size(backbone) or usual_size(listed, options.fit)
    )
    of_recipe = _views(options.views, backbone, size)
    ranges, remarks = find_ranges(listed, options.value_range)
    rows, skipped = _some(listed, size, options, ranges)
    for remark in (*listed.remarks, *remarks):
        tell(f"Note: {remark}")
    for entry in skipped:
        tell(f"not read: {shown(entry.name)}: {shown(entry.reason)}", error=True)
    if not len(rows):
        raise RunError(
            f"There must be images that can be read in {options.source}. Received: "
            f"{len(skipped):,} that cannot, tried at random."
        )
    figure = draw_views(of_recipe, list(rows), options.draws, options.seed)
    figure.suptitle(
        f"{len(rows)} of {len(listed):,} images, {size} pixels a side", fontsize=9
    )
    with whole_file(target) as partial:
        # So that it is not taken for a photograph.
        figure.savefig(partial, format="png", metadata=PICTURE)
    tell(f"What training would see of {len(rows)} images: {target}")
    return target


def _backbone(options: ViewsOptions, listed: ImageList) -> str | None:
    """Whose views are drawn: where nothing is named those of the network that `train`
    takes for images of such a size; None for a new one."""
    if options.backbone is not None or options.views is not None:
        return options.backbone
    if (options.image_size or usual_size(listed, options.fit)) <= SMALL:
        return None
    tell(
        f"The views are those for {PRETRAINED_BACKBONE}, which semppl train takes for "
        f"images of more than {SMALL} pixels a side; --backbone names another network."
    )
    return PRETRAINED_BACKBONE


def _usual_size(backbone: str | None) -> int | None:
    if backbone is None or not is_pretrained(backbone):
        return None
    return backbones.usual_size(backbone)


def _views(name: str | None, backbone: str | None, size: int) -> MultiCrop:
    if name is None:
        return recipes.for_backbone(backbone, size).make_views()
    views = recipe(name)
    if views.num_small:
        # In proportion, as the recipe has them.
        small = max(SMALLEST, round(views.small_size * size / views.large_size))
        return recipe(name, large_size=size, small_size=small)
    return recipe(name, large_size=size)


def _some(
    listed: ImageList, size: int, options: ViewsOptions, ranges: Any
) -> tuple[np.ndarray, Sequence[Any]]:
    """Some images `(n, size, size, channels)`, and `Skipped` of the others tried."""
    count = options.images
    order = np.random.default_rng(options.seed).permutation(len(listed))
    channels = 3 if listed.coloured() else 1
    # A few to spare, for those that cannot be read.
    chosen = listed.chosen(np.sort(order[: 2 * count]).tolist())
    rows = np.empty((len(chosen), size, size, channels), "uint8")
    decoded = decode_into(rows, chosen, fit=options.fit, ranges=ranges, max_skipped=1.0)
    return rows[: len(decoded.kept)][:count], decoded.skipped
