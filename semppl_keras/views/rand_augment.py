"""RandAugment for a whole batch: each image with operations of its own."""

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.checks import check_integers, check_share, listed
from semppl_keras.views import color, draws, spatial, tones
from semppl_keras.views.at_hand import are_at_hand
from semppl_keras.views.checks import check_range, check_unit_images
from semppl_keras.views.settings import OPERATIONS, Strength

_KNOWN = {**OPERATIONS["imagenet"], **OPERATIONS["fixmatch"]}


@keras.saving.register_keras_serializable(package="semppl_keras")
class RandAugment(keras.layers.Layer):
    """Some operations drawn at random for every image, one after the other.

    RandAugment (Cubuk et al., arXiv 1909.13719) as FixMatch draws it: each operation
    uniformly and with replacement, its strength uniformly as well. Which operation an
    image gets is a number like its strength, so that the batch goes through a few
    kernels, each of which leaves alone the images that it is not drawn for: one affine
    look-up, one linear map of the colours, solarisation and posterisation, a 3 x 3
    filter, one histogram of each channel. They are compiled with the training step; on
    torch and a processor, which compute them one by one, each is given the images alone
    that it is drawn for.

    The operations are those of Pillow, to the bit in "equalize", "posterize" and
    "solarize" of 8-bit values, but for what is better done otherwise to floats: pixels
    are looked up bilinearly, shears are about the centre, values are rounded by the
    operations alone that know levels, and clipped after each operation.

    Images may have any number of channels. "color" needs RGB and leaves others as they
    are; the mean that "contrast" moves away from is that of the luma with RGB and that
    of each channel otherwise.

    Example:

    ```python
    strong = RandAugment(2)(images, seed=0)      # (B, h, w, C) in [0, 1]
    ```

    Args:
        num_ops: int, operations of each image, 0 for none.
        operations: "fixmatch" (14 of them, none of which makes anything brighter or
            sharper), "imagenet" (15, with invert and solarize_add in place of identity,
            and wider ranges); or names out of both lists, at FixMatch's strengths where
            it has them. `views.OPERATIONS` holds both.
        probability: float in [0, 1], that a drawn operation is done (FixMatch on
            ImageNet: 0.5).
        magnitude: float in [0, 1], of how strong an operation is between its weakest
            (0) and strongest (1); or a pair, the range from which it is drawn.
        fill: what comes from beyond the edge, a float in [0, 1], or "edge", which is
            repeated.
    """

    def __init__(
        self,
        num_ops: int = 2,
        operations: str | tuple[str, ...] = "fixmatch",
        probability: float = 1.0,
        magnitude: float | tuple[float, float] = (0.0, 1.0),
        fill: str | float = "edge",
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        check_integers(0, num_ops=num_ops)
        check_share(probability=probability)
        if fill != "edge":
            if isinstance(fill, str):
                raise ValueError(
                    '`fill` must be "edge" or a number in [0, 1]. Received: fill='
                    f"{fill!r}."
                )
            check_share(fill=fill)
        self.num_ops = num_ops
        self.operations = operations
        self.probability = probability
        self.magnitude = check_range("magnitude", magnitude)
        self.fill = fill
        self._strengths = _strengths(operations)
        self.built = True

    def call(self, images: Any, seed: Any = None, uniform: Any = None) -> Any:
        """Changes the images.

        Args:
            images: `(B, h, w, C)` floats in [0, 1].
            seed, uniform: as for `MultiCrop`.

        Returns:
            `(B, h, w, C)` float32 in [0, 1].
        """
        check_unit_images(images)
        images = ops.cast(images, "float32")
        if not self.num_ops:
            return images
        uniform = uniform or draws.uniform
        u = uniform((ops.shape(images)[0], self.num_ops, 4), seed=seed)
        images = ops.transpose(images, (0, 3, 1, 2))
        for number in range(self.num_ops):
            images = self._change(images, u[:, number])
        return ops.transpose(images, (0, 2, 3, 1))

    def _change(self, images: Any, u: Any) -> Any:
        """One operation of each image.

        Args:
            images: `(B, C, h, w)`.
            u: `(B, 4)` in [0, 1).
        """
        drawn = _Drawn(self._strengths, self.magnitude, self.probability, u)
        # Their order is free; what reads neighbours first has compilers compute least
        # of it again.
        changes = {
            _sharpened: ("sharpness",),
            self._moved: ("rotate", "shear_x", "shear_y", "translate_x", "translate_y"),
            _recolored: ("brightness", "color", "contrast", "autocontrast", "invert"),
            _solarized: ("solarize",),
            _added_to: ("solarize_add",),
            _posterized: ("posterize",),
            _equalized: ("equalize",),
        }
        wanted = {
            change: known
            for change, names in changes.items()
            if (known := [name for name in names if name in drawn])
        }
        if are_at_hand(images):
            images = _changed_apart(images, drawn, wanted)
        else:
            for change in wanted:
                images = change(images, drawn)
        return ops.clip(images, 0.0, 1.0)

    def _moved(self, images: Any, drawn: "_Drawn") -> Any:
        """Rotation, shear and translation, of which an image has one at most."""
        height, width = images.shape[-2:]
        angle = math.pi / 180 * drawn("rotate")
        cosine, sine = ops.cos(angle), ops.sin(angle)
        return spatial.warp(
            images,
            across=(cosine, drawn("shear_x") - sine, width * drawn("translate_x")),
            down=(sine + drawn("shear_y"), cosine, height * drawn("translate_y")),
            fill=None if self.fill == "edge" else float(self.fill),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_ops": self.num_ops,
            "operations": self.operations,
            "probability": self.probability,
            "magnitude": self.magnitude,
            "fill": self.fill,
        }


class _Drawn:
    """Which operation each image has, and how strong it is.

    Args:
        strengths: dict of name to `Strength`.
        magnitude: pair of floats.
        probability: float.
        u: `(B, 4)` in [0, 1).
    """

    def __init__(
        self,
        strengths: dict[str, Strength],
        magnitude: tuple[float, float],
        probability: float,
        u: Any,
    ) -> None:
        count = len(strengths)
        self._places = {name: place for place, name in enumerate(strengths)}
        index = ops.minimum(ops.cast(u[:, 0] * count, "int32"), count - 1)
        weakest, strongest, signed = (
            ops.take(ops.convert_to_tensor(column), index)
            for column in np.array(list(strengths.values()), "float32").T
        )
        least, most = magnitude
        share = least + (most - least) * u[:, 1]
        turned = ops.cast(ops.where(u[:, 2] < 0.5, -1.0, 1.0), "float32")
        strength = weakest + (strongest - weakest) * share
        self.strength = strength * ops.where(signed > 0, turned, 1.0)
        # No operation has this place.
        self._index = ops.where(u[:, 3] < probability, index, count)

    def at(self, places: Any) -> "_Drawn":
        """Of some of the images.

        Args:
            places: what an array is indexed with.
        """
        drawn = copy.copy(self)
        drawn._index = self._index[places]
        drawn.strength = self.strength[places]
        return drawn

    def groups(self, groups: Iterable[Iterable[str]]) -> Any:
        """`(B,)` of NumPy, which group of operations each image has one of.

        Args:
            groups: of names. What is in none of them comes after the last.
        """
        groups = list(groups)
        table = np.full(len(self._places) + 1, len(groups))
        for number, names in enumerate(groups):
            table[[self._places[name] for name in names]] = number
        return table[ops.convert_to_numpy(self._index)]

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def has(self, name: str) -> Any:
        """`(B,)` boolean, which images have an operation."""
        return self._index == self._places[name]

    def __call__(self, name: str) -> Any:
        """`(B,)`, how strong an operation is, 0 where an image has another one."""
        if name not in self:
            return ops.zeros_like(self.strength)
        return ops.where(self.has(name), self.strength, 0.0)


def _changed_apart(
    images: Any, drawn: _Drawn, changes: dict[Callable[..., Any], list[str]]
) -> Any:
    """Images with one operation each, of which each change is given those it is for.

    Args:
        images: `(B, C, h, w)`.
        drawn: their operations.
        changes: of images and what was drawn for them, with the operations of each.
    """
    group = drawn.groups(changes.values())
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=len(changes))).tolist()
    ordered, drawn = images[order], drawn.at(order)
    parts, start = [], 0
    for change, end in zip(changes, ends, strict=False):
        if start < end:
            part = slice(start, end)
            parts.append(change(ordered[part], drawn.at(part)))
        start = end
    parts.append(ordered[start:])
    return ops.concatenate(parts)[np.argsort(order)]


# What is done to images, `(B, C, h, w)`: it leaves those alone that have another
# operation.


def _sharpened(images: Any, drawn: _Drawn) -> Any:
    return spatial.sharpen(images, 1.0 + drawn("sharpness"))


def _solarized(images: Any, drawn: _Drawn) -> Any:
    return color.solarize(images, drawn.has("solarize"), drawn.strength)


def _added_to(images: Any, drawn: _Drawn) -> Any:
    return tones.add_below(images, drawn("solarize_add"))


def _posterized(images: Any, drawn: _Drawn) -> Any:
    dropped = ops.minimum(ops.floor(drawn("posterize")), 4.0)
    return tones.posterize(images, dropped)


def _equalized(images: Any, drawn: _Drawn) -> Any:
    equal = drawn.has("equalize")[:, None, None, None]
    return ops.where(equal, tones.equalize(images), images)


def _recolored(images: Any, drawn: _Drawn) -> Any:
    """What is linear in an image's colours: brightness, color, contrast, autocontrast
    and invert."""
    channels = images.shape[1]
    of_each = ops.ones_like(images[:, :, 0, 0])
    scale, offset = of_each, 0.0 * of_each
    if "brightness" in drawn:
        scale = scale + drawn("brightness")[:, None]
    if "contrast" in drawn:
        change = drawn("contrast")[:, None]
        scale = scale + change
        mean = color.luma(ops.mean(images, axis=(-2, -1), keepdims=True))
        offset = offset - change * mean[..., 0, 0]
    if "autocontrast" in drawn:
        stretched = drawn.has("autocontrast")[:, None]
        of_full, to_full = tones.stretch(images)
        scale = ops.where(stretched, of_full, scale)
        offset = ops.where(stretched, to_full, offset)
    if "invert" in drawn:
        inverted = drawn.has("invert")[:, None]
        scale = ops.where(inverted, -1.0, scale)
        offset = ops.where(inverted, 1.0, offset)
    if "color" in drawn and channels == 3:
        # Away from the luma, or towards it.
        change = drawn("color")[:, None]
        grey = change[..., None, None] * color.luma(images)
        return (scale + change)[..., None, None] * images + (
            offset[..., None, None] - grey
        )
    return scale[..., None, None] * images + offset[..., None, None]


def _strengths(operations: Any) -> dict[str, Strength]:
    """The operations to draw from, by name."""
    if isinstance(operations, str) and operations in OPERATIONS:
        return OPERATIONS[operations]
    names = operations if isinstance(operations, list | tuple) else ()
    unknown = [name for name in names if name not in _KNOWN]
    if not names or unknown:
        raise ValueError(
            f"`operations` must be one of {sorted(OPERATIONS)}, or some of "
            f"{', '.join(sorted(_KNOWN))}. Received: "
            + (listed(unknown) if unknown else f"operations={operations!r}")
            + "."
        )
    return {name: _KNOWN[name] for name in names}
