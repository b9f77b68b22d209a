"""`semppl import`: a published checkpoint becomes a Keras model."""

import pathlib

import keras

from semppl_keras import checkpoints
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.folder import user_errors
from semppl_keras.runs.out_paths import check_can_write

SUMMARY = "make a Keras model of a published checkpoint"

DESCRIPTION = """\
Make a Keras model of a checkpoint that the authors of SemPPL, BYOL or SimCLRv2
published: the backbone, from images (RGB in [0, 1]) to features. Nothing that a
checkpoint asks for is executed."""

EPILOG = """\
checkpoints:
  FILE.pkl          of DeepMind (SemPPL, BYOL): ResNet-18 to 200 of any width
  PREFIX or FOLDER  of SimCLRv2: model.ckpt-N, with selective kernels or without;
                    TensorFlow reads it

The heads are to be had from Python: semppl_keras.checkpoints.load_deepmind and
load_simclr.

examples:
  semppl import pretrain_res50x1.pkl --out resnet50.keras
  semppl import r50_1x_sk1/model.ckpt-250228 --format saved_model --out served"""

ENDINGS = {"keras": ".keras", "saved_model": ""}


def add_arguments(parser):
    """Adds the options of the command."""
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", help="a file, a prefix or a folder"
    )
    parser.add_argument(
        "--family",
        choices=["auto", "deepmind", "simclr"],
        default="auto",
        help="whose checkpoint it is (default: told from its files)",
    )
    parser.add_argument(
        "--format",
        choices=["keras", "saved_model"],
        default="keras",
        help="what is written (default: keras)",
    )
    parser.add_argument(
        "--out",
        metavar="PATH",
        help="where (default: CHECKPOINT_backbone.keras, or a folder without .keras, "
        "in the working folder); nothing is overwritten",
    )


def run(arguments):
    """Reads a checkpoint, says what it is, and writes its backbone.

    Args:
        arguments: Namespace with `checkpoint`, `family` ("auto", "deepmind" or
            "simclr"), `format` ("keras" or "saved_model") and `out` (None where not
            given).

    Returns:
        `pathlib.Path` of what was written.

    Raises:
        RunError: The checkpoint cannot be read, or there is something already.
    """
    source = pathlib.Path(arguments.checkpoint)
    target = _target(arguments, source)
    load = {
        "deepmind": checkpoints.load_deepmind,
        "simclr": checkpoints.load_simclr,
    }[_family(arguments.family, source)]
    with user_errors():
        checkpoint = load(source)
    print(checkpoint.describe())
    if checkpoint.ignored:
        more = ", ..." if len(checkpoint.ignored) > 5 else ""
        print(f"not used: {', '.join(checkpoint.ignored[:5])}{more}")
    with user_errors():
        target.parent.mkdir(parents=True, exist_ok=True)
        if arguments.format == "keras":
            checkpoint.backbone.save(target)
        else:
            checkpoint.backbone.export(target, verbose=False)
    print(f"backbone, images to features {checkpoint.backbone.output_shape}: {target}")
    return target


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted an import."""
    return "Run the same command again."


def _family(family, source):
    """TensorFlow's checkpoints are several files, DeepMind's is one."""
    if family != "auto":
        return family
    of_tensorflow = (
        source.is_dir()
        or source.with_name(f"{source.name}.index").exists()
        or source.name.startswith("model.ckpt")
    )
    return "simclr" if of_tensorflow else "deepmind"


def _target(arguments, source):
    if arguments.format == "saved_model" and keras.backend.backend() != "tensorflow":
        # Torch writes none at all, JAX none of this padding for images of any size.
        raise RunError(
            "--format saved_model needs TensorFlow; run the command with "
            "KERAS_BACKEND=tensorflow"
        )
    ending = ENDINGS[arguments.format]
    if arguments.out is None:
        name = source.name.removesuffix(".index").removesuffix(".pkl")
        target = pathlib.Path(f"{name}_backbone{ending}")
    else:
        target = pathlib.Path(arguments.out)
    if not target.name.endswith(ending):
        raise RunError(f"--out must end in {ending}; received {target}")
    check_can_write(target)
    if target.exists():
        raise RunError(f"{target} exists already; choose another --out")
    return target
