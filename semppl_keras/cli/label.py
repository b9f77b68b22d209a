"""`semppl label`: a finished run labels other images."""

import csv
import io
import os
import pathlib
import re
import shutil
import sys
from typing import NamedTuple

import numpy as np

from semppl_keras.cli.finished_run import FinishedRun, as_probabilities
from semppl_keras.cli.run_folder import CommandError, user_errors
from semppl_keras.data.image_cache import decode_cached
from semppl_keras.data.image_files import UnreadableImage, read_image
from semppl_keras.data.image_lists import open_images
from semppl_keras.export import ImageEmbedder

_NEAREST = 3
# Unreadable files that are named on the screen; the table has all of them.
_TOLD = 10
# Among so many times the images asked for, the least certain, those to review are
# spread over clusters.
_POOL = 5


class Labels(NamedTuple):
    """What a classifier says of images, and what they are like.

    Args:
        names: list of str, of each image its path, or its place.
        images: `(N, s, s, channels)` uint8, as the classifier saw them.
        probabilities: `(N, C)`.
        features: `(N, F)`.
        nearest: `(N, k)` indices of the labelled images whose features are nearest.
        skipped: list of `Skipped`, what could not be read.
    """

    names: list
    images: np.ndarray
    probabilities: np.ndarray
    features: np.ndarray
    nearest: np.ndarray
    skipped: list

    @property
    def confidences(self):
        """`(N,)`, the largest probability of each."""
        return self.probabilities.max(axis=1)


def run(arguments):
    """Labels images, as the parsed arguments say.

    Args:
        arguments: Namespace with `run`, `source`, `out`, `min_confidence`, `review`,
            `review_out`, `move_into`, `classifier` (None where not given), `move`,
            `overwrite`.

    Returns:
        `Labels`.

    Raises:
        CommandError: What the user asked for cannot be done.
    """
    out = pathlib.Path(arguments.out)
    sheet = None
    if arguments.review:
        sheet = pathlib.Path(arguments.review_out or out.with_suffix(".review.html"))
    _check_options(arguments, [out, *([] if sheet is None else [sheet])])
    finished = FinishedRun(arguments.run)
    classifier, how = finished.classifier(arguments.classifier)
    print(
        f"Labelling {arguments.source} with the {how} of {finished.folder} ...",
        flush=True,
    )
    with user_errors():
        labels = label_images(finished, classifier, arguments.source)
    names = finished.class_names
    kept = np.flatnonzero(labels.confidences >= (arguments.min_confidence or 0))
    with user_errors():
        write_table(out, labels, kept, names, finished.labelled.names)
        if labels.skipped:
            _write_skipped(out, labels.skipped)
    _tell(labels, kept, names, out, arguments.min_confidence)
    if sheet is not None:
        with user_errors():
            _write_sheet(sheet, out, labels, finished, arguments.review)
        print(f"To look through and label by hand: {sheet}")
    if arguments.move_into is not None:
        _sort_into(arguments, labels, kept, names)
    return labels


def label_images(finished, classifier, source):
    """Labels the images of a folder or of another source.

    Args:
        finished: `FinishedRun`.
        classifier: `ImageClassifier` of its classes.
        source: As `open_images` takes it.

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
    listed = open_images(source, "unlabelled")
    # What cannot be read is told at the end.
    images, decoded = decode_cached(
        listed, finished.image_size, finished.channels, max_skipped=1.0
    )
    embedder = ImageEmbedder(classifier.backbone, classifier.views)
    features = embedder.predict(images, verbose=0)
    labelled = embedder.predict(finished.labelled.images, verbose=0)
    return Labels(
        names=[listed.names[index] for index in decoded.kept],
        images=images,
        probabilities=as_probabilities(classifier, features),
        features=features,
        nearest=nearest_rows(labelled, features, min(_NEAREST, len(labelled))),
        skipped=list(decoded.skipped),
    )


def nearest_rows(rows, queries, k):
    """The nearest rows of each query, by cosine similarity.

    Args:
        rows: `(N, F)`.
        queries: `(M, F)`.
        k: At most N.

    Returns:
        `(M, k)` indices, the nearest first.
    """
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute")
    return search.fit(rows).kneighbors(queries, return_distance=False)


def choose_for_review(confidences, features, count, seed=0):
    """The images whose labels would teach most: uncertain ones, unlike each other.

    The features of the least certain images, five times as many as asked for, are
    clustered by k-means into as many clusters as asked for; of each the least certain
    image is taken.

    Args:
        confidences: `(N,)`.
        features: `(N, F)`.
        count: How many.
        seed: Of k-means.

    Returns:
        At most `count` indices, the least certain first.
    """
    order = np.argsort(confidences, kind="stable")
    pool = order[: _POOL * count]
    if len(pool) <= count:
        return pool
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    rows = np.asarray(features, "float64")[pool]
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    # Copies of one image leave clusters empty; fewer are asked for then.
    clusters = min(count, len(np.unique(rows, axis=0)))
    with threadpool_limits(1):
        of_cluster = KMeans(clusters, n_init=1, random_state=seed).fit_predict(rows)
    # The pool is in order: the first of each cluster is its least certain.
    first = np.unique(of_cluster, return_index=True)[1]
    others = np.setdiff1d(np.arange(len(pool)), first)
    chosen = np.concatenate([first, others[: count - len(first)]])
    return pool[np.sort(chosen)]


def write_table(path, labels, kept, class_names, labelled_names):
    """Writes the table of labels.

    Args:
        path: `pathlib.Path`.
        labels: `Labels`.
        kept: Indices of the images that get a row.
        class_names: A text for each column of the probabilities.
        labelled_names: A text for each labelled image.
    """
    order = np.argsort(-labels.probabilities, axis=1, kind="stable")
    nearest = [f"nearest_{rank + 1}" for rank in range(labels.nearest.shape[1])]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", "confidence", "second", "second_share", *nearest])
    for index in kept:
        best, second = order[index, :2]
        shares = labels.probabilities[index]
        writer.writerow(
            [
                _from_table(labels.names[index], path),
                class_names[best],
                f"{shares[best]:.4f}",
                class_names[second],
                f"{shares[second]:.4f}",
                *(
                    _from_table(labelled_names[row], path)
                    for row in labels.nearest[index]
                ),
            ]
        )
    _write_text(path, text.getvalue())


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted it."""
    return "Run the same command again, with --overwrite where something is there."


def _check_options(arguments, files):
    for option in ("move", "review_out"):
        needed = {"move": "move_into", "review_out": "review"}[option]
        if getattr(arguments, option) and not getattr(arguments, needed):
            option, needed = option.replace("_", "-"), needed.replace("_", "-")
            raise CommandError(
                f"--{option} is for --{needed}. Received: --{option} without it. Add "
                f"--{needed}."
            )
    for path in files:
        if path.is_dir():
            raise CommandError(f"{path} must be a file. Received: a folder.")
        if path.exists() and not arguments.overwrite:
            raise CommandError(
                f"{path} exists already. Choose another name, or add --overwrite."
            )
    if arguments.move_into is not None:
        if not pathlib.Path(arguments.source).is_dir():
            raise CommandError(
                "--move-into needs a folder of image files. Received: "
                f"{arguments.source!r}."
            )
        source = pathlib.Path(arguments.source).resolve()
        into = pathlib.Path(arguments.move_into).resolve()
        if into == source or source in into.parents:
            raise CommandError(
                "--move-into must be a folder outside of that with the images, or they "
                f"would be found there again. Received: {str(into)!r} in "
                f"{str(source)!r}."
            )


def _tell(labels, kept, names, out, least):
    for entry in labels.skipped[:_TOLD]:
        print(f"not read: {entry.name}: {entry.reason}", file=sys.stderr)
    predicted = labels.probabilities.argmax(axis=1)
    counts = np.bincount(predicted[kept], minlength=len(names))
    width = max(len(name) for name in names)
    for name, count in zip(names, counts, strict=True):
        print(f"  {name:<{width}}{count:>8,}")
    print(f"{len(kept):,} images are labelled in {out}")
    if least is not None:
        print(
            f"{len(labels.names) - len(kept):,} others are less certain than "
            f"{least:.0%} and left out"
        )
    if labels.skipped:
        print(
            f"{len(labels.skipped):,} files could not be read: see {_skipped_path(out)}"
        )


def _skipped_path(out):
    return out.with_suffix(".skipped.tsv")


def _write_skipped(out, skipped):
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(["path", "reason"])
    writer.writerows(skipped)
    _write_text(_skipped_path(out), text.getvalue())


def _write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    # File names need not be text; they are written as they are.
    partial.write_bytes(text.encode("utf-8", "surrogateescape"))
    os.replace(partial, path)


def _from_table(name, table):
    """A path as a table names it, relative to its folder; another name as it is."""
    if not os.path.exists(name):
        return name
    return os.path.relpath(os.path.abspath(name), os.path.abspath(table.parent))


def _write_sheet(sheet, out, labels, finished, count):
    from semppl_keras.cli.contact_sheet import write_contact_sheet

    known = {os.path.realpath(name) for name in finished.labelled.names}
    open_ = np.array(
        [
            index
            for index, name in enumerate(labels.names)
            if os.path.realpath(name) not in known
        ],
        dtype=int,
    )
    chosen = open_[
        choose_for_review(labels.confidences[open_], labels.features[open_], count)
    ]
    names = finished.class_names
    order = np.argsort(-labels.probabilities, axis=1, kind="stable")
    entries = [
        {
            "image": _large(labels, index),
            "path": _from_table(labels.names[index], out),
            "label": names[order[index, 0]],
            "second": names[order[index, 1]],
            "confidence": float(labels.probabilities[index].max()),
            "second_share": float(labels.probabilities[index, order[index, 1]]),
            "nearest": [
                _from_table(finished.labelled.names[row], out)
                for row in labels.nearest[index]
            ],
        }
        for index in chosen
    ]
    title = f"{len(entries)} images to label"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    write_contact_sheet(sheet, entries, names, out.name, title)


def _large(labels, index):
    """The whole image where it is a file, and not the square that the network saw."""
    name = labels.names[index]
    if os.path.isfile(name):
        try:
            return read_image(name)
        except UnreadableImage:
            # It has gone since.
            return labels.images[index]
    return labels.images[index]


def _sort_into(arguments, labels, kept, names):
    """Copies or moves images into folders of their classes."""
    source, into = pathlib.Path(arguments.source), pathlib.Path(arguments.move_into)
    folders = _class_folders(names)
    predicted = labels.probabilities.argmax(axis=1)
    done, there = 0, []
    for index in kept:
        path = pathlib.Path(labels.names[index])
        target = into / folders[predicted[index]] / path.relative_to(source)
        if target.exists() and not arguments.overwrite:
            there.append(target)
            continue
        with user_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            # Copied under another name first: what has its name is whole.
            partial = target.with_name(f".{target.name[:200]}.partial")
            shutil.copy2(path, partial)
            os.replace(partial, target)
            if arguments.move:
                path.unlink()
        done += 1
    verb = "moved" if arguments.move else "copied"
    print(f"{done:,} images are {verb} into class folders in {into}")
    if there:
        print(
            f"{len(there):,} were left where they are, since a file has their place, "
            f"such as {there[0]}; --overwrite replaces them"
        )


def _class_folders(names):
    """For each class the name of a folder, none of which leads elsewhere."""
    folders = []
    for name in names:
        folder = re.sub(r"[/\\\x00-\x1f]", "_", name)
        folder = re.sub(r"^\.", "_", folder) or "_"
        while folder in folders:
            folder += "_"
        folders.append(folder)
    return folders
