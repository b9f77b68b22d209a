"""A finished run in a format in which it is served."""

import os
import pathlib

from semppl_keras.data.images.value_ranges import as_ranges, brought_to_eight_bits
from semppl_keras.export import FORMATS, export_model, script_path
from semppl_keras.export.serving_script import SQUARES
from semppl_keras.networks import ImageClassifier, ImageEmbedder
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.options.export import BACKBONE, ExportOptions
from semppl_keras.runs.safety.out_paths import check_can_write
from semppl_keras.runs.telling import tell, told
from semppl_keras.views import MultiCrop


@told
def export(
    run: str | os.PathLike[str],
    *,
    format: str,
    what: str = ExportOptions.what,
    classifier: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    photos: str | os.PathLike[str] | None = None,
    trust: bool = False,
    verbose: int = 1,
) -> pathlib.Path:
    """Writes a finished run so that it can be served without this package.

    Args:
        run: Run folder, or a file that `pack` has written.
        format: "saved_model", "keras", "onnx" or "litert".
        what: "classifier", images to probabilities, or "backbone", to features.
        classifier: Another one: its name, such as "linear", or a `classifier.keras`;
            None for the run's.
        out: Where to write it; None for `exported` in the run folder.
        photos: Folder in which the images of the run are now; None for where they were.
        trust: Whether the run may be somebody else's.
        verbose: 0 to say nothing, 1 for what the command says, 2 for more.

    Returns:
        `pathlib.Path` of what was written.

    Raises:
        RunError: A value is wrong, or what was asked for cannot be done.
        TypeError: A value is of the wrong kind.

    Example:
        >>> export("runs/photos", format="onnx")
    """
    return export_with(
        ExportOptions.of(
            run=run,
            format=format,
            what=what,
            classifier=classifier,
            out=out,
            photos=photos,
            trust=trust,
        )
    )


def export_with(options: ExportOptions) -> pathlib.Path:
    """The same, of options that are filled already."""
    finished = FinishedRun(options.run, trust=options.trust, photos=options.photos)
    finished.check_can_be_written(options.out)
    if options.out is None:
        name = f"{options.what}{FORMATS[options.format]}"
        target = finished.folder / "exported" / name
    else:
        target = pathlib.Path(options.out)
    check_can_write(target)
    if target.exists():
        raise RunError(f"{target} exists already. Delete it, or choose another --out.")
    if options.what == BACKBONE:
        if options.classifier is not None:
            raise RunError(
                "--classifier is for --what classifier. Received: --classifier "
                f"{options.classifier} with --what backbone. Leave one of them out."
            )
        model: ImageEmbedder | ImageClassifier = finished.embedder()
        how = "backbone"
        gives = f"features (B, {model.backbone.output_shape[-1]})"
    else:
        model, how = finished.classifier(options.classifier)
        gives = f"probabilities (B, {model.num_classes})"
        finished.tell_classifier(options.classifier)
    # Of an earlier run each image was read by itself.
    known = isinstance(finished.value_range, dict)
    ranges = as_ranges(finished.value_range) if known else None
    try:
        export_model(
            model,
            target,
            options.format,
            image_size=finished.image_size,
            fit=finished.fit,
            value_range=ranges,
        )
    except RuntimeError as error:
        raise RunError(str(error)) from error
    tell(
        f"{how}: images (B, height, width, {finished.channels}), "
        f"{_range(model.views)}, to {gives}: {target}"
    )
    script = script_path(target)
    if script.exists():
        tell(
            f"To ask it about picture files: python {script} PICTURE ... It sees "
            f"{SQUARES[finished.fit]} (--fit {finished.fit})."
        )
    if ranges is not None:
        for sentence in brought_to_eight_bits(ranges):
            tell(f"Note: {sentence}")
    return target


def _range(views: MultiCrop) -> str:
    low, high = views.value_range
    return "uint8" if (low, high) == (0, 255) else f"float32 in [{low}, {high}]"
