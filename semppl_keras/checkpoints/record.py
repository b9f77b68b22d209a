"""What an importer returns, and how it fills a network."""

import dataclasses

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint as Keras models, and what was recognised in it.

    Attributes:
        family: "deepmind" (SemPPL, BYOL) or "simclr" (SimCLRv2).
        depth: int, of the residual network.
        width_multiplier: int or float.
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
    ignored: tuple = ()

    def describe(self):
        """One line: family, network, parameters, heads."""
        family = {"deepmind": "DeepMind (SemPPL, BYOL)", "simclr": "SimCLRv2"}
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
            int(np.prod(weight.shape)) for weight in self.backbone.trainable_weights
        )
        return (
            f"{family[self.family]}: {network}, width {self.width_multiplier:g}x, "
            f"{kernels} selective kernels, {count:,} parameters; heads: "
            f"{', '.join(heads) or 'none'}"
        )


class Arrays:
    """Arrays by name, each of which is asked for once and must have its shape.

    Args:
        source: str, the file, for messages.
        read: function of a name, to an array of the shape that `shapes` tells.
        shapes: dict of name to shape.
    """

    def __init__(self, source, read, shapes):
        self.source = source
        self._read = read
        self.shapes = shapes
        self._used = set()

    def assign(self, layer, names):
        """Gives a layer its weights.

        Args:
            layer: built `keras.layers.Layer`.
            names: the names of its weights, in their order; None for one that the
                file leaves out and that keeps its initial value.

        Raises:
            ValueError: if one is missing or has another shape.
        """
        for weight, name in zip(layer.weights, names, strict=True):
            if name is None:
                continue
            if name not in self.shapes:
                raise ValueError(
                    f"{self.source} is missing the array {name!r} of shape "
                    f"{tuple(weight.shape)}."
                )
            # (1, 1, 1, F) and (1, F) stand for (F,).
            shape = squeezed(self.shapes[name])
            if shape != squeezed(weight.shape):
                raise ValueError(
                    f"{self.source} has an array {name!r} of shape "
                    f"{tuple(self.shapes[name])} where the network, as far as it was "
                    f"recognised, has {tuple(weight.shape)}."
                )
            weight.assign(np.reshape(self._read(name), weight.shape))
            self._used.add(name)

    def unused(self):
        """The names that were never asked for."""
        return sorted(set(self.shapes) - self._used)


def squeezed(shape):
    """A shape without the leading ones that Haiku gives to its normalisation."""
    shape = tuple(int(size) for size in shape)
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def check_file(path, what):
    """Raises an error that says what is wrong with a path that should be a file."""
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}: expected {what}.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder: expected {what}.")
