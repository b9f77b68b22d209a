"""Views that are like others but for some of their settings."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semppl_keras.views.multi_crop import MultiCrop


def changed(views: Any, **changes: Any) -> Any:
    """The views like others but for those of the arguments that they have."""
    config = views.get_config()
    changes = {name: value for name, value in changes.items() if name in config}
    return type(views).from_config({**config, **changes})


def single_view(views: Any) -> Any:
    """The `MultiCrop` or `CachedViews` that makes one large view as another one makes
    its first."""
    return changed(views, num_large=1, num_small=0)


def of_size(views: "MultiCrop", large_size: int) -> "MultiCrop":
    """The `MultiCrop` that makes one large view of another size."""
    return changed(views, num_large=1, num_small=0, large_size=large_size)


def crop_and_flip(views: Any) -> Any:
    """The same with the colours left alone: SimCLRv2's views after pre-training.

    Sizes, areas, shift, flip, rotation, shear and ranges stay; colour jitter,
    greyscale, blur, solarisation and background removal go, and with the last one the
    mask in the images. Those that are kept are as they are.
    """
    return changed(
        views,
        num_large=1,
        num_small=0,
        color_jitter=0.0,
        grayscale=0.0,
        blur=(0.0, 0.0),
        solarize=(0.0, 0.0),
        background_removal=0.0,
    )
