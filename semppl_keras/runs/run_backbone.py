"""The backbone that a run begins with."""

import pathlib
from typing import Any

from semppl_keras import backbones
from semppl_keras.backbones.specs import parse
from semppl_keras.recipes import Recipe
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.safety.loading import load_model

# A copy of the file that --backbone named: a run has all that it needs.
BACKBONE = "backbone.keras"


def new_backbone(
    recipe: Recipe,
    channels: int,
    folder: pathlib.Path | None = None,
    *,
    trust: bool = False,
) -> Any:
    """A backbone of a recipe as it is before training.

    Args:
        recipe: `Recipe`.
        channels: Of the images.
        folder: Of a run, whose copy of a file is read in place of that; or None.
        trust: As for `load_model`, of a file.

    Returns:
        A `keras.Model` from images `(B, h, w, channels)` to features `(B, F)`.

    Raises:
        RunError: A file cannot be loaded, or is no backbone.
        OSError, ValueError, ImportError: As `backbones.pretrained` raises them.
    """
    path = backbone_file(recipe)
    if path is None:
        return recipe.make_backbone(channels)
    kept = None if folder is None else folder / BACKBONE
    if kept is not None and kept.is_file():
        path = kept
    if not path.is_file():
        raise RunError(
            f"The backbone of the run must be there, {str(path)!r}. Received: no such "
            "file. Bring it back, or begin another run with another --out."
        )
    model = load_model(path, trust=trust)
    return backbones.features_of(model, channels=channels)


def network_for_labels_alone(
    recipe: Recipe, channels: int, folder: pathlib.Path | None, *, trust: bool = False
) -> Any:
    """A new backbone for what is trained on the labels alone, beside a recipe's run.

    The recipe's own, but a plain network in place of the small residual one: that is
    better so (docs/results/accuracy.md).

    Args, Returns, Raises: As for `new_backbone`.
    """
    if recipe.backbone[0] == "SmallResNet":
        return backbones.ConvNet(input_shape=(None, None, channels))
    return new_backbone(recipe, channels, folder, trust=trust)


def backbone_file(recipe: Recipe) -> pathlib.Path | None:
    """The file that a recipe's backbone is, or None."""
    name, arguments = recipe.backbone
    if name != "pretrained":
        return None
    kind, path, _ = parse(arguments["spec"])
    return pathlib.Path(path) if kind == "file" else None
