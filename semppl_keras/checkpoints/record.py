"""What an importer returns, and the arrays that it fills networks with."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from semppl_keras.views import MultiCrop, recipe

_FAMILIES = {"deepmind": "DeepMind (SemPPL, BYOL)", "simclr": "SimCLRv2"}


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint as Keras models, and what was recognised in it.

    Attributes:
        family: "deepmind" (SemPPL, BYOL) or "simclr" (SimCLRv2).
        depth: int, of the residual network.
        width_multiplier: int, or float where it is not whole.
        selective_kernels: bool.
        version: 1 or 2, of its blocks.
        backbone: `keras.Model` from images `(B, h, w, 3)` to features `(B, F)`.
        projector: `keras.Model` from features `(B, F)` to projections `(B, D)`, or
            None where the file has none.
        predictor: `keras.Model` from projections to predictions `(B, D)`, or None.
        fine_tune_backbone: `keras.Model` from images to the output of the projector's
            first layer `(B, H)`, from which SimCLRv2 is fine-tuned, or None. Shares
            its weights with `backbone` and `projector`.
        classifier: `keras.Model` from images to logits `(B, classes)` of the
            supervised head, or None. Shares its weights as well.
        views: `MultiCrop` of 224 and 96 pixels, whose `center_view` is what the
            authors' code makes of a test image (`evaluation_views`).
        ignored: tuple of str, what else the file holds.
    """

    family: str
    depth: int
    width_multiplier: float
    selective_kernels: bool
    version: int
    backbone: keras.Model
    projector: keras.Model | None = None
    predictor: keras.Model | None = None
    fine_tune_backbone: keras.Model | None = None
    classifier: keras.Model | None = None
    views: MultiCrop | None = None
    ignored: tuple = ()

    def load_heads(self, model: Any) -> None:
        """Lets the training of a model go on with these heads.

        Args:
            model: `SemPPL`, `BYOL` or `ReLICv2`, made on `backbone`, with `hidden_dim`
                and `projection_dim` of these heads. Projector and, where both have
                one, predictor get their weights, those of the target too.

        Raises:
            ValueError: if there are no heads, SimCLRv2's, or heads of other shapes;
                nothing is changed.
        """
        if self.projector is None:
            raise ValueError("The checkpoint has no projector to go on with.")
        if self.family == "simclr":
            raise ValueError(
                "SimCLRv2's projector normalises its output, which no model's heads "
                "here do. Train `backbone` with new heads, or fine-tune "
                "`fine_tune_backbone`: FineTuner(checkpoint.fine_tune_backbone, ...)."
            )
        pairs = []
        for encoder in (model.online, model.target):
            heads = () if encoder is None else encoder.heads
            # A target has no predictor, SimCLRv2 neither.
            for own, head in zip(heads, (self.projector, self.predictor), strict=False):
                if head is not None:
                    pairs.append((own, head.get_weights()))
        for own, weights in pairs:
            shapes = [tuple(weight.shape) for weight in own.weights]
            received = [weight.shape for weight in weights]
            if shapes != received:
                raise ValueError(
                    "The model's heads must have the shapes of the checkpoint's: pass "
                    f"hidden_dim={received[0][-1]}, projection_dim={received[-1][-1]}. "
                    f"Received: '{own.name}' with weights of the shapes {shapes}, the "
                    f"checkpoint has {received}."
                )
        for own, weights in pairs:
            own.set_weights(weights)

    def describe(self) -> str:
        """One line: family, network, trained parameters, heads."""
        network = f"ResNet-{self.depth}"
        if self.version == 2:
            network += " version 2"
        kernels = "with" if self.selective_kernels else "without"
        heads = [
            name
            for name in ("projector", "predictor", "classifier")
            if getattr(self, name) is not None
        ]
        count = sum(
            int(np.prod(weight.shape))
            for weight in self.backbone.weights
            if not weight.name.startswith("moving_")
        )
        return (
            f"{_FAMILIES[self.family]}: {network}, width {self.width_multiplier:g}x, "
            f"{kernels} selective kernels, {count:,} parameters; heads: "
            f"{', '.join(heads) or 'none'}"
        )


def evaluation_views() -> MultiCrop:
    """Views of which the central one is that of the published evaluations.

    SemPPL's and BYOL's code (`utils/dataset.py`) and SimCLRv2's (`data_util.py`) show
    a network the central 87.5% of the shorter side of a test image, resized to 224
    pixels, bicubic. (SimCLRv2's rounds the side of that square to the nearest pixel,
    the others' down, as is done here, and resizes it by TensorFlow 1's
    `resize_bicubic`, the others' by `tf.image.resize`, as here.)

    Returns:
        The `MultiCrop` "imagenet" with this central view.
    """
    return recipe("imagenet", center_crop=0.875, center_interpolation="bicubic")


class Arrays:
    """The arrays of a file by name.

    Args:
        source: str, the file, for messages.
        read: function of a name, to an array of the shape that `shapes` tells.
        shapes: dict of name to shape.
    """

    def __init__(
        self,
        source: str,
        read: Callable[[str], Any],
        shapes: Mapping[str, tuple[Any, ...]],
    ) -> None:
        self.source = source
        self._read = read
        self.shapes = shapes
        self._used: set[str] = set()

    def check(self, expected: Mapping[str, tuple[Any, ...]]) -> None:
        """Raises a ValueError unless these arrays are there, in these shapes.

        Args:
            expected: dict of name to shape. (1, 1, 1, F) and (1, F) stand for (F,).
        """
        missing = [name for name in expected if name not in self.shapes]
        if missing:
            shown = ", ".join(
                f"{name!r} of shape {expected[name]}" for name in missing[:5]
            )
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise ValueError(f"{self.source} is missing the arrays {shown}{more}.")
        for name, shape in expected.items():
            if _squeezed(self.shapes[name]) != _squeezed(shape):
                raise ValueError(
                    f"{self.source} has an array {name!r} of shape "
                    f"{self.shapes[name]} where the network, as far as it was "
                    f"recognised, has {shape}."
                )

    def assign(self, layer: keras.layers.Layer, names: Sequence[str]) -> None:
        """Gives a layer its weights.

        Args:
            layer: built `keras.layers.Layer`.
            names: the names of its weights in their order, which were checked.
        """
        for weight, name in zip(layer.weights, names, strict=True):
            weight.assign(np.reshape(self._read(name), weight.shape))
            self._used.add(name)

    def unused(self) -> list[str]:
        """The names that were never asked for."""
        return sorted(set(self.shapes) - self._used)


def whole(width: float) -> float:
    """A width multiplier as an int where it is one."""
    return int(width) if float(width).is_integer() else width


def check_file(path: pathlib.Path, what: str) -> None:
    """Raises an error that says what is wrong with a path that should be a file."""
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}: expected {what}.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder: expected {what}.")


def _squeezed(shape: tuple[Any, ...]) -> tuple[int, ...]:
    shape = tuple(int(size) for size in shape)
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape
