"""A finished run labels images."""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from semppl_keras.data.images.decoding import remarks_on_files
from semppl_keras.data.images.sources import open_images
from semppl_keras.evaluation import stranger_shares
from semppl_keras.evaluation.knn import nearest_others
from semppl_keras.networks import ImageClassifier, ImageEmbedder
from semppl_keras.networks.image_classifier import as_probabilities
from semppl_keras.reports.counted import counted
from semppl_keras.reports.shown import shown
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.label_checks import (
    check_options,
    check_sources,
    table_and_page,
)
from semppl_keras.runs.label_formats import (
    check_copies,
    label_files,
    label_format,
    write_labels,
)
from semppl_keras.runs.label_table import skipped_path
from semppl_keras.runs.new_images import digests_of, see
from semppl_keras.runs.options.label import LabelOptions
from semppl_keras.runs.results.labels import Labels
from semppl_keras.runs.reviewing import write_review
from semppl_keras.runs.run_images import LabelledImages
from semppl_keras.runs.skipped_files import write_skipped
from semppl_keras.runs.sorting import sort_into
from semppl_keras.runs.telling import tell, told

_NEAREST = 3
# Unreadable files that are named on the screen; the table has all of them.
_TOLD = 10


@told
def label(
    run: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    format: str | None = None,
    copy_images: bool = False,
    min_confidence: float | None = None,
    review: int | None = None,
    review_out: str | os.PathLike[str] | None = None,
    move_into: str | os.PathLike[str] | None = None,
    move: bool = False,
    overwrite: bool = False,
    max_megapixels: float | None = None,
    classifier: str | os.PathLike[str] | None = None,
    photos: str | os.PathLike[str] | None = None,
    trust: bool = False,
    verbose: int = 1,
) -> Labels:
    """Labels images with the classifier of a finished run.

    Args:
        run: Run folder, or a file that `pack` has written.
        source: Folder of images, or another source of them.
        out: The table to write: path, label, confidence, second choice, whether it is
            none of these, neighbours; or another file, as `format` says. None for
            `label_formats.OUT` of it.
        format: One of `data.defaults.LABEL_FORMATS`, the form of what is written; None
            for that which the ending of `out` says, and otherwise a table, "csv".
        copy_images: Of the format "fiftyone", whether images are copied beside their
            labels, in place of a list of where they are.
        min_confidence: Share from 0 to 1; less certain images are left out.
        review: Integer, for how many images a page to look through is written.
        review_out: Where it is written; None for beside the table.
        move_into: Folder, into a folder of each class in which images are copied.
        move: Whether they are moved instead.
        overwrite: Whether files that are there already are replaced.
        max_megapixels: How many millions of pixels of an image may be decoded at once.
            None for as many as when the run was trained.
        classifier: Another one: its name, such as "linear", or a `classifier.keras`;
            None for the run's.
        photos: Folder in which the images of the run are now; None for where they were.
        trust: Whether the run may be somebody else's.
        verbose: 0 to say nothing, 1 for what the command says, 2 for more.

    Returns:
        `Labels`: `names`, list of N texts; `images`, `(N, s, s, c)`, decoded when they
        are asked for; `probabilities`, `(N, C)`; `features`, `(N, F)`; `nearest`,
        `(N, k)` indices of labelled images; `skipped`, what could not be read; `given`,
        list of N texts, the class that a person has given an image. `confidences`,
        `(N,)`, are the largest probabilities; `none_of_these`, `(N,)`, how probable it
        is that an image shows none of the classes; `expected_mistakes`, how many of the
        images in the table are expected to be labelled wrongly; `kept` and `review`
        indices of the images in the table and on the page.

    Raises:
        RunError: What was asked for cannot be done.

    Example:
        >>> labels = label("runs/photos", "photos", out="guessed.csv", review=50)
        >>> labels.probabilities.argmax(axis=1)
    """
    return label_with(
        LabelOptions.of(
            run=run,
            source=source,
            out=out,
            format=format,
            copy_images=copy_images,
            min_confidence=min_confidence,
            review=review,
            review_out=review_out,
            move_into=move_into,
            move=move,
            overwrite=overwrite,
            max_megapixels=max_megapixels,
            classifier=classifier,
            photos=photos,
            trust=trust,
        )
    )


def label_with(options: LabelOptions) -> Labels:
    """The same, of options that are filled already."""
    table, sheet = table_and_page(options)
    files = [*label_files(options), *([] if sheet is None else [sheet])]
    finished = FinishedRun(options.run, trust=options.trust, photos=options.photos)
    check_sources(options.source, finished, files)
    check_options(options, files)
    check_copies(options)
    network, how = finished.classifier(options.classifier)
    tell(
        f"Labelling {shown(options.source)} with {shown(finished.named)} "
        f"({shown(how)}) ..."
    )
    finished.tell_classifier(options.classifier)
    labels = label_images(
        finished, network, options.source, max_megapixels=options.max_megapixels
    )
    for remark in labels.remarks:
        tell(f"Note: {remark}")
    labels = dataclasses.replace(
        labels,
        kept=np.flatnonzero(labels.confidences >= (options.min_confidence or 0)),
        table=table,
    )
    labelled = finished.labelled
    remarks = write_labels(options, labels, labelled.names)
    write_skipped(skipped_path(table), labels.skipped)
    as_table = label_format(options) == "csv"
    _tell(labels, table, options.min_confidence, as_table=as_table)
    calibrated = finished.temperature(options.classifier) is not None
    if options.move_into is not None:
        places = list(labels.names)
        try:
            sort_into(
                pathlib.Path(options.move_into),
                pathlib.Path(options.source),
                labels,
                labelled,
                places,
                move=options.move,
                overwrite=options.overwrite,
            )
        finally:
            # Should it be interrupted, the table knows what has been moved by then.
            if places != labels.names:
                labels = labels.moved(places)
                remarks = write_labels(options, labels, labelled.names, again=True)
    for remark in remarks:
        tell(remark)
    if sheet is not None:
        count = options.review or 0
        chosen = write_review(sheet, table, labels, finished, count)
        labels = dataclasses.replace(labels, review=chosen)
        tell(f"To look through and label by hand: {sheet}")
    _tell_mistakes(labels, calibrated=calibrated, as_table=as_table)
    return labels


def _tell_mistakes(labels: Labels, *, calibrated: bool, as_table: bool) -> None:
    """The last lines: how far the table can be trusted."""
    total = len(labels.rows)
    if not total:
        return
    by = "" if calibrated else ", by confidences that no labels were held out to check"
    strangers = round(labels.expected_strangers)
    if strangers:
        which = "see none_of_these" if as_table else "--format csv says which"
        tell(f"About {strangers:,} may show none of the classes: {which}")
    tell(
        f"About {labels.expected_mistakes:,.0f} of {total:,} are expected to be wrong"
        f"{by}"
    )


def label_images(
    finished: FinishedRun,
    classifier: ImageClassifier,
    source: str,
    *,
    max_megapixels: float | None = None,
) -> Labels:
    """Labels the images of a folder or of another source.

    Args:
        finished: `FinishedRun`.
        classifier: `ImageClassifier` of its classes.
        source: As `open_images` takes it.
        max_megapixels: As `open_images` takes it; None for those of the run.

    Returns:
        `Labels`.

    Raises:
        ValueError, FileNotFoundError, ImportError: There are no images, or none that
            can be read.

    Example:
        >>> finished = FinishedRun("runs/flowers")
        >>> classifier, _ = finished.classifier()
        >>> label_images(finished, classifier, "photos").probabilities
    """
    listed = open_images(
        source,
        "unlabelled",
        max_megapixels=max_megapixels or finished.dataset.max_megapixels,
    )
    embedder = ImageEmbedder(classifier.backbone, classifier.views)
    seen = see(finished, embedder, listed)
    decoded, features = seen.decoded, seen.features
    labelled = embedder.predict(finished.labelled.images, verbose=0)
    names = [listed.names[index] for index in decoded.kept]
    own = _same_images(finished.labelled, names, seen.digests)
    probabilities = as_probabilities(classifier, features)
    return Labels(
        names=names,
        images=seen.images,
        probabilities=probabilities,
        features=features,
        labelled_features=labelled,
        nearest=nearest_others(labelled, features, min(_NEAREST, len(labelled)), own),
        skipped=list(decoded.skipped),
        given=[
            _given_label(finished, name, rows)
            for name, rows in zip(names, own, strict=True)
        ],
        remarks=[
            *listed.remarks,
            *seen.remarks,
            *remarks_on_files(decoded, len(listed), "images", of_run=True),
        ],
        ranges=seen.ranges,
        class_names=finished.class_names,
        none_of_these=stranger_shares(
            labelled, finished.labelled.labels, features, probabilities, own=own
        ),
    )


def _same_images(
    labelled: LabelledImages, names: Sequence[str], digests: Sequence[bytes]
) -> list[list[int]]:
    """For each image the labelled rows that it is: by path, or by pixels."""
    rows: dict[str | bytes, set[int]] = collections.defaultdict(set)
    for row, (name, digest) in enumerate(
        zip(labelled.names, digests_of(labelled.images), strict=True)
    ):
        rows[os.path.realpath(name)].add(row)
        rows[digest].add(row)
    return [
        sorted(rows.get(os.path.realpath(name), set()) | rows.get(digest, set()))
        for name, digest in zip(names, digests, strict=True)
    ]


def _given_label(finished: FinishedRun, name: str, rows: Sequence[int]) -> str:
    labelled, path = finished.labelled, os.path.realpath(name)
    of_file = [row for row in rows if os.path.realpath(labelled.names[row]) == path]
    labels = {int(labelled.labels[row]) for row in of_file or rows}
    # Copies that a person has labelled differently tell nothing.
    return finished.class_names[labels.pop()] if len(labels) == 1 else ""


def _tell(
    labels: Labels, out: pathlib.Path, least: float | None, *, as_table: bool
) -> None:
    for entry in labels.skipped[:_TOLD]:
        tell(f"not read: {shown(entry.name)}: {shown(entry.reason)}", error=True)
    kept = labels.rows
    names = [shown(name) for name in labels.class_names]
    width = max(map(len, names))
    for name, count in zip(names, labels.counts(), strict=True):
        tell(f"  {name:<{width}}{count:>8,}")
    tell(f"{counted(len(kept), 'image is', 'images are')} labelled in {shown(out)}")
    given = sum(labels.given[index] != "" for index in kept)
    if given:
        tell(
            f"{counted(given, 'of them has', 'of them have')} a label already"
            + (": given_label in the table" if as_table else "")
        )
    if least is not None:
        others = counted(len(labels.names) - len(kept), "other is", "others are")
        # As many digits as it has: 99.9% is not 100%.
        tell(f"{others} less certain than {100 * least:.12g}% and left out")
    if labels.skipped:
        files = counted(len(labels.skipped), "file", "files")
        tell(f"{files} could not be read: see {skipped_path(out)}")
