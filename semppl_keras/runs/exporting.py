"""`semppl export`: a finished run in a format in which it is served."""

import pathlib

from semppl_keras.data.images.value_ranges import as_ranges, brought_to_eight_bits
from semppl_keras.export import FORMATS, export_model, script_path
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.folder import user_errors
from semppl_keras.runs.out_paths import check_can_write


def run(arguments):
    """Writes the classifier or the backbone of a run, as the parsed arguments say.

    Args:
        arguments: Namespace with `run`, `format`, `what` ("classifier" or "backbone"),
            `classifier` and `out` (None where not given).

    Returns:
        `pathlib.Path` of what was written.

    Raises:
        RunError: What the user asked for cannot be done.
    """
    finished = FinishedRun(arguments.run, trust=arguments.trust)
    if arguments.out is None:
        name = f"{arguments.what}{FORMATS[arguments.format]}"
        path = finished.folder / "exported" / name
    else:
        path = pathlib.Path(arguments.out)
    check_can_write(path)
    if path.exists():
        raise RunError(f"{path} exists already. Delete it, or choose another --out.")
    if arguments.what == "backbone":
        if arguments.classifier is not None:
            raise RunError(
                "--classifier is for --what classifier. Received: --classifier "
                f"{arguments.classifier} with --what backbone. Leave one of them out."
            )
        model, how = finished.embedder(), "backbone"
        gives = f"features (B, {model.backbone.output_shape[-1]})"
    else:
        model, how = finished.classifier(arguments.classifier)
        gives = f"probabilities (B, {model.num_classes})"
    # Of an earlier run each image was read by itself.
    known = isinstance(finished.value_range, dict)
    ranges = as_ranges(finished.value_range) if known else None
    with user_errors():
        try:
            export_model(
                model,
                path,
                arguments.format,
                image_size=finished.image_size,
                value_range=ranges,
            )
        except RuntimeError as error:
            raise RunError(str(error)) from error
    print(
        f"{how}: images (B, height, width, {finished.channels}), "
        f"{_range(model.views)}, to {gives}: {path}"
    )
    script = script_path(path)
    if script.exists():
        print(f"To ask it about picture files: python {script} PICTURE ...")
    if ranges is not None:
        for told in brought_to_eight_bits(ranges):
            print(f"Note: {told}", flush=True)
    return path


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted an export."""
    return "Nothing was written. Run the same command again."


def _range(views):
    low, high = views.value_range
    return "uint8" if (low, high) == (0, 255) else f"float32 in [{low}, {high}]"
