"""Batches that come as dicts: what is the image in them, and what the label."""

import collections.abc

_IMAGES = ("image", "images", "img", "pixel_values")
_LABELS = ("label", "labels")
_WEIGHTS = ("sample_weight", "weight")
# What data sets number and name their images with.
_LEFT_OUT = ("id", "idx", "index", "file_name", "filename", "path")


def named_parts(name, element):
    """An element as a tuple: (images,), (images, labels) or with weights as the third.

    Args:
        name: str, the argument to name in an error.
        element: what a dataset yields: a dict with the names of the data sets of
            Hugging Face and TensorFlow, a tuple or list, or images alone.

    Raises:
        ValueError: for a dict of which it is not known what its parts are.
    """
    if not isinstance(element, collections.abc.Mapping):
        return tuple(element) if isinstance(element, (tuple, list)) else (element,)
    keys = [key for key in element if key not in _LEFT_OUT]
    found = [
        [key for key in names if key in keys] for names in (_IMAGES, _LABELS, _WEIGHTS)
    ]
    chosen = [key for keys in found for key in keys]
    one_each = len(found[0]) == 1 and all(len(keys) < 2 for keys in found[1:])
    if len(chosen) != len(keys) or not one_each or (found[2] and not found[1]):
        raise ValueError(
            f"`{name}` must yield images, (image, label) tuples, or dicts with the "
            "keys 'image' and 'label'. Received: a dict with the keys "
            f"{sorted(map(str, element))}. Map it first, such as dataset.map(lambda d: "
            "(d['picture'], d['class']))."
        )
    return tuple(element[key] for key in chosen)
