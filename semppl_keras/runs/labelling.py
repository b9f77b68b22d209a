"""`semppl label`: a finished run labels other images."""

import collections
import hashlib
import itertools
import os
import pathlib
import re
import shutil
import sys
from typing import NamedTuple

import numpy as np

from semppl_keras.data.images.cache import decode_cached
from semppl_keras.data.images.decoding import find_ranges, remarks_on_files
from semppl_keras.data.images.files import UnreadableImage, read_image
from semppl_keras.data.images.sources import open_images, resolved_source, source_path
from semppl_keras.data.images.spreadsheets import inert, inert_path, table_text
from semppl_keras.export import ImageEmbedder
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun, as_probabilities
from semppl_keras.runs.folder import user_errors
from semppl_keras.runs.out_paths import check_can_write
from semppl_keras.runs.terminal import shown

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
        nearest: `(N, k)` indices of the labelled images whose features are nearest,
            the image itself left out; -1 where there are no others.
        skipped: list of `Skipped`, what could not be read.
        given: list of str, the class that a person has given each, "" where none has.
        remarks: list of str, what is worth knowing about the images.
        ranges: `ValueRanges` by which deep images were read, or None.
    """

    names: list
    images: np.ndarray
    probabilities: np.ndarray
    features: np.ndarray
    nearest: np.ndarray
    skipped: list
    given: list
    remarks: list
    ranges: tuple | None

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
        RunError: What the user asked for cannot be done.
    """
    out = pathlib.Path(arguments.out)
    if not out.name:
        raise RunError(f"{out} must be a file. Received: a folder.")
    check_can_write(out)
    check_can_write(arguments.review_out, "--review-out")
    check_can_write(arguments.move_into, "--move-into", folder=True)
    sheet = None
    if arguments.review:
        sheet = pathlib.Path(arguments.review_out or out.with_suffix(".review.html"))
    files = [out, _skipped_path(out), *([] if sheet is None else [sheet])]
    finished = FinishedRun(arguments.run, trust=arguments.trust)
    _check_sources(arguments.source, finished, files)
    _check_options(arguments, files)
    classifier, how = finished.classifier(arguments.classifier)
    print(
        f"Labelling {shown(arguments.source)} with the {shown(how)} of "
        f"{shown(finished.folder)} ...",
        flush=True,
    )
    with user_errors():
        labels = label_images(finished, classifier, arguments.source)
    for remark in labels.remarks:
        print(f"Note: {remark}", flush=True)
    names = finished.class_names
    kept = np.flatnonzero(labels.confidences >= (arguments.min_confidence or 0))
    with user_errors():
        write_table(out, labels, kept, names, finished.labelled.names)
        _write_skipped(out, labels.skipped)
    _tell(labels, kept, names, out, arguments.min_confidence)
    if arguments.move_into is not None:
        places = list(labels.names)
        try:
            _sort_into(arguments, labels, kept, finished, places)
        finally:
            # Should it be interrupted, the table knows what has been moved by then.
            if places != labels.names:
                labels = labels._replace(names=places)
                with user_errors():
                    write_table(out, labels, kept, names, finished.labelled.names)
    if sheet is not None:
        with user_errors():
            _write_sheet(sheet, out, labels, finished, arguments.review)
        print(f"To look through and label by hand: {sheet}")
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
    ranges, remarks = find_ranges(listed, finished.value_range)
    # What cannot be read is told at the end.
    images, decoded = decode_cached(
        listed,
        finished.image_size,
        finished.channels,
        ranges=ranges,
        max_skipped=1.0,
    )
    embedder = ImageEmbedder(classifier.backbone, classifier.views)
    features = embedder.predict(images, verbose=0)
    labelled = embedder.predict(finished.labelled.images, verbose=0)
    names = [listed.names[index] for index in decoded.kept]
    own = _same_images(finished.labelled, names, images)
    return Labels(
        names=names,
        images=images,
        probabilities=as_probabilities(classifier, features),
        features=features,
        nearest=nearest_others(labelled, features, min(_NEAREST, len(labelled)), own),
        skipped=list(decoded.skipped),
        given=[
            _given_label(finished, name, rows)
            for name, rows in zip(names, own, strict=True)
        ],
        remarks=[
            *listed.remarks,
            *remarks,
            *remarks_on_files(decoded, len(listed), "images", of_run=True),
        ],
        ranges=ranges,
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


def nearest_others(rows, queries, k, own):
    """The nearest rows of each query, without those that are the query itself.

    Args:
        rows: `(N, F)`.
        queries: `(M, F)`.
        k: At most N.
        own: M lists of indices of rows, those left out.

    Returns:
        `(M, k)` indices, the nearest first, -1 where no row is left.
    """
    most = min(k + max(map(len, own), default=0), len(rows))
    nearest = np.full((len(queries), k), -1)
    for index, found in enumerate(nearest_rows(rows, queries, most)):
        others = found[~np.isin(found, own[index])][:k]
        nearest[index, : len(others)] = others
    return nearest


def _same_images(labelled, names, images):
    """For each image the labelled rows that it is: by path, or by pixels."""
    rows = collections.defaultdict(set)
    for row, (name, image) in enumerate(
        zip(labelled.names, labelled.images, strict=True)
    ):
        rows[os.path.realpath(name)].add(row)
        rows[_digest(image)].add(row)
    return [
        sorted(
            rows.get(os.path.realpath(name), set()) | rows.get(_digest(image), set())
        )
        for name, image in zip(names, images, strict=True)
    ]


def _digest(image):
    pixels = np.rint(np.asarray(image)).astype("uint8")
    return hashlib.blake2b(pixels.tobytes()).digest()


def _given_label(finished, name, rows):
    labelled, path = finished.labelled, os.path.realpath(name)
    of_file = [row for row in rows if os.path.realpath(labelled.names[row]) == path]
    labels = {int(labelled.labels[row]) for row in of_file or rows}
    # Copies that a person has labelled differently tell nothing.
    return finished.class_names[labels.pop()] if len(labels) == 1 else ""


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
    shares = ["confidence", "second", "second_share"]
    rows = [["path", "label", *shares, *nearest, "given_label"]]
    for index in kept:
        best, second = order[index, :2]
        shares = labels.probabilities[index]
        rows.append(
            [
                _from_table(labels.names[index], path),
                inert(class_names[best]),
                f"{shares[best]:.4f}",
                inert(class_names[second]),
                f"{shares[second]:.4f}",
                *(
                    "" if row < 0 else _from_table(labelled_names[row], path)
                    for row in labels.nearest[index]
                ),
                inert(labels.given[index]),
            ]
        )
    _write_text(path, table_text(rows))


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted it."""
    return "Run the same command again, with --overwrite where something is there."


def _check_sources(source, finished, files):
    """What a person has written is not replaced by guesses, whatever options say."""
    dataset = finished.settings["dataset"]
    named = [("the images to label", resolved_source(source))]
    if isinstance(dataset, dict):
        named += [
            (f"the {role} images of {str(finished.folder)!r}", dataset[role])
            for role in ("labelled", "test", "unlabelled")
            if dataset[role] is not None
        ]
    for what, text in named:
        place = source_path(text)
        for path in files:
            if place is not None and _is_same_file(path, place):
                raise RunError(
                    f"{path} must be another file. Received: the one that names "
                    f"{what}, which is never replaced. Choose another --out or "
                    "--review-out."
                )


def _is_same_file(path, other):
    if os.path.isfile(path) and os.path.isfile(other):
        return os.path.samefile(path, other)
    if os.path.isdir(path):
        # Which is told by itself.
        return False
    return os.path.realpath(path) == os.path.realpath(other)


def _check_options(arguments, files):
    for option in ("move", "review_out"):
        needed = {"move": "move_into", "review_out": "review"}[option]
        if getattr(arguments, option) and not getattr(arguments, needed):
            option, needed = option.replace("_", "-"), needed.replace("_", "-")
            raise RunError(
                f"--{option} is for --{needed}. Received: --{option} without it. Add "
                f"--{needed}."
            )
    for path in files:
        if path.is_dir():
            raise RunError(f"{path} must be a file. Received: a folder.")
        if path.exists() and not arguments.overwrite:
            raise RunError(
                f"{path} exists already. Choose another name, or add --overwrite."
            )
    for path, other in itertools.combinations(files, 2):
        if _is_same_file(path, other):
            raise RunError(
                "The table, the list of files that could not be read and the page to "
                f"review must be different files. Received: {path} and {other}. Choose "
                "another --review-out."
            )
    if arguments.move_into is not None:
        if not pathlib.Path(arguments.source).is_dir():
            raise RunError(
                "--move-into needs a folder of image files. Received: "
                f"{arguments.source!r}."
            )
        source = pathlib.Path(arguments.source).resolve()
        into = pathlib.Path(arguments.move_into).resolve()
        there = next(path for path in (into, *into.parents) if path.exists())
        if not there.is_dir():
            raise RunError(
                f"--move-into must be a folder. Received: {arguments.move_into!r}, and "
                f"{str(there)!r} is a file. Choose another one."
            )
        if into == source or source in into.parents:
            raise RunError(
                "--move-into must be a folder outside of that with the images, or they "
                f"would be found there again. Received: {str(into)!r} in "
                f"{str(source)!r}."
            )


def _tell(labels, kept, names, out, least):
    for entry in labels.skipped[:_TOLD]:
        print(f"not read: {shown(entry.name)}: {shown(entry.reason)}", file=sys.stderr)
    predicted = labels.probabilities.argmax(axis=1)
    counts = np.bincount(predicted[kept], minlength=len(names))
    names = [shown(name) for name in names]
    width = max(map(len, names))
    for name, count in zip(names, counts, strict=True):
        print(f"  {name:<{width}}{count:>8,}")
    print(f"{_counted(len(kept), 'image is', 'images are')} labelled in {shown(out)}")
    given = sum(labels.given[index] != "" for index in kept)
    if given:
        print(
            f"{_counted(given, 'of them has', 'of them have')} a label already: "
            "given_label in the table"
        )
    if least is not None:
        others = _counted(len(labels.names) - len(kept), "other is", "others are")
        # As many digits as it has: 99.9% is not 100%.
        print(f"{others} less certain than {100 * least:.12g}% and left out")
    if labels.skipped:
        files = _counted(len(labels.skipped), "file", "files")
        print(f"{files} could not be read: see {_skipped_path(out)}")


def _counted(number, one, many):
    return f"{number:,} {one if number == 1 else many}"


def _skipped_path(out):
    return out.with_suffix(".skipped.tsv")


def _write_skipped(out, skipped):
    if not skipped:
        # One from before would be taken for this one's.
        _skipped_path(out).unlink(missing_ok=True)
        return
    rows = [["path", "reason"]]
    rows += [[inert(name), inert(reason)] for name, reason in skipped]
    _write_text(_skipped_path(out), table_text(rows, "\t"))


def _write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    # File names need not be text; they are written as they are.
    partial.write_bytes(text.encode("utf-8", "surrogateescape"))
    os.replace(partial, path)


def _from_table(name, table):
    """A path as a table names it, relative to its folder; another name as it is."""
    if not os.path.exists(name):
        return inert_path(name)
    path = os.path.abspath(name)
    try:
        return inert_path(os.path.relpath(path, os.path.abspath(table.parent)))
    except ValueError:
        # On another drive, to which no relative path leads.
        return path


def _write_sheet(sheet, out, labels, finished, count):
    from semppl_keras.reports.contact_sheet import write_contact_sheet

    open_, unnameable = [], []
    for index, name in enumerate(labels.names):
        if not labels.given[index]:
            named = _is_text(_from_table(name, out))
            (open_ if named else unnameable).append(index)
    if unnameable:
        print(
            f"{_counted(len(unnameable), 'image is', 'images are')} not on the page to "
            "review, which can save no file name that is not UTF-8, such as "
            f"{labels.names[unnameable[0]]!r}; rename what is to be labelled there"
        )
    open_ = np.array(open_, dtype=int)
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
                if row >= 0
            ],
        }
        for index in chosen
    ]
    title = f"{len(entries)} images to label"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    write_contact_sheet(sheet, entries, names, out.name, title)


def _is_text(name):
    """Whether a name of a file is UTF-8: not every one is."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _large(labels, index):
    """The whole image where it is a file, and not the square that the network saw."""
    name = labels.names[index]
    if os.path.isfile(name):
        try:
            return read_image(name, ranges=labels.ranges)
        except UnreadableImage:
            # It has gone since.
            return labels.images[index]
    return labels.images[index]


def _sort_into(arguments, labels, kept, finished, places):
    """Copies or moves images into folders of their classes.

    What is reached through a link below the folder is copied: what the link leads to
    may be another's. So are the run's labelled images, which it needs to label more.
    `places`, of each image its path, becomes that to which it has been moved.
    """
    source, into = pathlib.Path(arguments.source), pathlib.Path(arguments.move_into)
    names = finished.class_names
    folders = dict(zip(names, _class_folders(names), strict=True))
    predicted = labels.probabilities.argmax(axis=1)
    all_images = {os.path.realpath(name) for name in labels.names}
    needed = {os.path.realpath(name) for name in finished.labelled.names}
    done, linked, labelled, there, own = 0, 0, 0, [], []
    for index in kept:
        path = pathlib.Path(labels.names[index])
        below = path.relative_to(source)
        name = labels.given[index] or names[predicted[index]]
        target = into / folders[name] / below
        if os.path.realpath(target) in all_images:
            own.append(target)
            continue
        if target.exists() and not arguments.overwrite:
            there.append(target)
            continue
        through_link = os.path.realpath(path) != os.path.join(
            os.path.realpath(source), below
        )
        with user_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            # Copied under another name first: what has its name is whole.
            partial = target.with_name(f".{target.name[:200]}.partial")
            shutil.copy2(path, partial)
            os.replace(partial, target)
            if arguments.move and through_link:
                linked += 1
            elif arguments.move and os.path.realpath(path) in needed:
                labelled += 1
            elif arguments.move:
                places[index] = str(target)
                path.unlink()
        done += 1
    done -= linked + labelled
    verb = "moved" if arguments.move else "copied"
    images = _counted(done, "image is", "images are")
    print(f"{images} {verb} into class folders in {into}")
    if linked:
        others = _counted(linked, "other is", "others are")
        print(
            f"{others} reached through links and copied: the links and what they lead "
            "to stay"
        )
    if labelled:
        others = _counted(labelled, "other", "others")
        print(f"{others} with labels are copied: the run needs them where they are")
    if there:
        print(
            f"{_counted(len(there), 'was', 'were')} left where they are, since a file "
            f"has their place, such as {str(there[0])!r}; --overwrite replaces them"
        )
    if own:
        print(
            f"{_counted(len(own), 'was', 'were')} left where they are, since an image "
            f"to label has their place, such as {str(own[0])!r}"
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
