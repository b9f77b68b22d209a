"""A published checkpoint becomes a Keras model."""

import os
import pathlib

import keras

from semppl_keras import checkpoints
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.importing import ImportOptions
from semppl_keras.runs.safety.out_paths import check_can_write
from semppl_keras.runs.telling import tell, told

_ENDINGS = {"keras": ".keras", "saved_model": ""}


@told
def import_checkpoint(
    checkpoint: str | os.PathLike[str],
    *,
    family: str = ImportOptions.family,
    format: str = ImportOptions.format,
    out: str | os.PathLike[str] | None = None,
    verbose: int = 1,
) -> pathlib.Path:
    """Reads a checkpoint, says what it is, and writes its backbone.

    Args:
        checkpoint: A file, a prefix or a folder.
        family: "deepmind" or "simclr", or "auto" for what its files tell.
        format: "keras" or "saved_model".
        out: Where to write it; None for a name after the checkpoint's in the working
            folder. Nothing is overwritten.
        verbose: 0 to say nothing, 1 for what the command says, 2 for more.

    Returns:
        `pathlib.Path` of what was written.

    Raises:
        RunError: A value is wrong, the checkpoint cannot be read, or there is something
            already.
        TypeError: A value is of the wrong kind.

    Example:
        >>> import_checkpoint("pretrain_res50x1.pkl", out="resnet50.keras")
    """
    return import_checkpoint_with(
        ImportOptions.of(checkpoint=checkpoint, family=family, format=format, out=out)
    )


def import_checkpoint_with(options: ImportOptions) -> pathlib.Path:
    """The same, of options that are filled already."""
    source = pathlib.Path(options.checkpoint)
    target = _target(options, source)
    load = {
        "deepmind": checkpoints.load_deepmind,
        "simclr": checkpoints.load_simclr,
    }[_family(options.family, source)]
    found = load(source)
    tell(found.describe())
    if found.ignored:
        more = ", ..." if len(found.ignored) > 5 else ""
        tell(f"not used: {', '.join(found.ignored[:5])}{more}")
    target.parent.mkdir(parents=True, exist_ok=True)
    if options.format == "keras":
        found.backbone.save(target)
    else:
        found.backbone.export(target, verbose=False)
    tell(f"backbone, images to features {found.backbone.output_shape}: {target}")
    return target


def _family(family: str, source: pathlib.Path) -> str:
    """TensorFlow's checkpoints are several files, DeepMind's is one."""
    if family != "auto":
        return family
    of_tensorflow = (
        source.is_dir()
        or source.with_name(f"{source.name}.index").exists()
        or source.name.startswith("model.ckpt")
    )
    return "simclr" if of_tensorflow else "deepmind"


def _target(options: ImportOptions, source: pathlib.Path) -> pathlib.Path:
    if options.format == "saved_model" and keras.backend.backend() != "tensorflow":
        # Torch writes none at all, JAX none of this padding for images of any size.
        raise RunError(
            "--format saved_model needs TensorFlow; run the command with "
            "KERAS_BACKEND=tensorflow"
        )
    ending = _ENDINGS[options.format]
    if options.out is None:
        name = source.name.removesuffix(".index").removesuffix(".pkl")
        target = pathlib.Path(f"{name}_backbone{ending}")
    else:
        target = pathlib.Path(options.out)
    if not target.name.endswith(ending):
        raise RunError(f"--out must end in {ending}; received {target}")
    check_can_write(target)
    if target.exists():
        raise RunError(f"{target} exists already; choose another --out")
    return target
