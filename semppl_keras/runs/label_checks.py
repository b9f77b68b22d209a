"""What `label` writes, and that it replaces nothing of a person's."""

import itertools
import os
import pathlib
from collections.abc import Sequence

from semppl_keras.data.images.source_names import resolved_source, source_path
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.label_formats import label_out
from semppl_keras.runs.options.checks import given_without
from semppl_keras.runs.options.label import LabelOptions
from semppl_keras.runs.safety.out_paths import check_can_write


def table_and_page(options: LabelOptions) -> tuple[pathlib.Path, pathlib.Path | None]:
    """Where the table goes, and the page to review, or None without one.

    Raises:
        RunError: It cannot go there.
    """
    out = label_out(options)
    if not out.name:
        raise RunError(f"{out} must be a file. Received: a folder.")
    check_can_write(out)
    check_can_write(options.review_out, "--review-out")
    check_can_write(options.move_into, "--move-into", folder=True)
    if options.review is None:
        return out, None
    return out, pathlib.Path(options.review_out or out.with_suffix(".review.html"))


def check_sources(
    source: str, finished: FinishedRun, files: Sequence[pathlib.Path]
) -> None:
    """What a person has written is not replaced by guesses, whatever options say.

    Args:
        source: The images to label.
        finished: The run.
        files: What is to be written.

    Raises:
        RunError: One of them names images.
    """
    sources = finished.dataset.sources
    named = [("the images to label", resolved_source(source))]
    named += [
        (f"the {role} images of {str(finished.named)!r}", sources[role])
        for role in ("labelled", "test", "unlabelled")
        if role in sources
    ]
    for what, text in named:
        place = source_path(text)
        for file in files:
            if place is not None and _is_same_file(file, place):
                raise RunError(
                    f"{file} must be another file. Received: the one that names "
                    f"{what}, which is never replaced. Choose another --out or "
                    "--review-out."
                )


def _is_same_file(file: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    if os.path.isfile(file) and os.path.isfile(other):
        return os.path.samefile(file, other)
    if os.path.isdir(file):
        # Which is told by itself.
        return False
    return os.path.realpath(file) == os.path.realpath(other)


def check_options(options: LabelOptions, files: Sequence[pathlib.Path]) -> None:
    """Refuses what would be of no use, or would replace something.

    Args:
        options: `LabelOptions`.
        files: What is to be written.

    Raises:
        RunError: That is so.
    """
    for name, needed in (("move", "move_into"), ("review_out", "review")):
        if getattr(options, name) and not getattr(options, needed):
            raise given_without(name, needed)
    for file in files:
        if file.is_dir():
            raise RunError(f"{file} must be a file. Received: a folder.")
        if file.exists() and not options.overwrite:
            raise RunError(
                f"{file} exists already. Choose another name, or add --overwrite."
            )
    for file, other in itertools.combinations(files, 2):
        if _is_same_file(file, other):
            raise RunError(
                "The table, the list of files that could not be read and the page to "
                f"review must be different files. Received: {file} and {other}. Choose "
                "another --review-out."
            )
    if options.move_into is not None:
        if not pathlib.Path(options.source).is_dir():
            raise RunError(
                "--move-into needs a folder of image files. Received: "
                f"{options.source!r}."
            )
        source = pathlib.Path(options.source).resolve()
        into = pathlib.Path(options.move_into).resolve()
        there = next(folder for folder in (into, *into.parents) if folder.exists())
        if not there.is_dir():
            raise RunError(
                f"--move-into must be a folder. Received: {options.move_into!r}, and "
                f"{str(there)!r} is a file. Choose another one."
            )
        if into == source or source in into.parents:
            raise RunError(
                "--move-into must be a folder outside of that with the images, or they "
                f"would be found there again. Received: {str(into)!r} in "
                f"{str(source)!r}."
            )
