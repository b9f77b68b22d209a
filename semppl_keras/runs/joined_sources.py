"""The images of a run and further ones, as one data set."""

import dataclasses
import os
import pathlib
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from semppl_keras.data import OwnDataset, TableOptions
from semppl_keras.data.datasets.opened_images import OpenedImages, classes_in
from semppl_keras.data.images.image_list import ImageList, image_list
from semppl_keras.data.images.source_names import (
    images_folder,
    is_table,
    resolved_source,
)
from semppl_keras.data.images.sources import check_source, open_images, pixels_of
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.merged_labels import (
    FileLabels,
    LabelChanges,
    by_file,
    changes,
    merged,
    tell_changed,
)
from semppl_keras.runs.noted_files import (
    LABELLED,
    TESTED,
    UNLABELLED,
    are_files,
    noted_labels,
    noted_names,
    write_files,
)
from semppl_keras.runs.options.train import TrainOptions
from semppl_keras.runs.telling import tell


@dataclasses.dataclass(frozen=True, eq=False)
class Joined:
    """A data set that goes on from a run's.

    Args:
        dataset: `OwnDataset`, opened; its labels are to stand in the new run's folder.
        labels: What is new in all, against what the run was trained with; None where
            that is not known by name.
        behind: What of it had changed where the run's own labels come from.
        images: How many unlabelled images were `added` and `removed`, or None.
        same_labels: Whether they are those that the run was trained with.
    """

    dataset: OwnDataset
    labels: LabelChanges | None
    behind: LabelChanges | None
    images: dict[str, int] | None
    same_labels: bool


def joined(
    run: pathlib.Path,
    own: OwnDataset,
    options: TrainOptions,
    out: pathlib.Path,
    named: pathlib.Path,
    kept: Mapping[str, str] = types.MappingProxyType({}),
) -> Joined:
    """Joins what a run was trained on with what is given.

    Args:
        run: The folder in which its tables are, which may be gone later.
        own: Its data set, which knows its classes, and whose sources may be followed.
        options: Of the run that goes on.
        out: Its folder, which its tables are to stand in.
        named: What the run is called in messages.
        kept: By the path of a file that is gone that of what the run keeps of it.

    Returns:
        `Joined`.

    Raises:
        RunError: A source is none of files, which could be told from each other.
        ValueError, FileNotFoundError, ImportError: A source is none.
    """
    own = dataclasses.replace(
        own, max_megapixels=_asked(options.max_megapixels, own.max_megapixels)
    )
    unlabelled, source = _unlabelled(own, options)
    if source is None or _is_own_table(run, source, UNLABELLED):
        source = str((out / UNLABELLED).absolute())
    given_folder = options.unlabelled and images_folder(options.unlabelled)
    labels_folder = given_folder or own.images_folder
    few, found = _labelled(run, own, options, labels_folder, named, kept)
    dataset = dataclasses.replace(
        own,
        unlabelled=source,
        labelled=own.labelled if few is None else str((out / LABELLED).absolute()),
        max_skipped=_asked(options.max_skipped, own.max_skipped),
        cache=_asked(options.cache, own.cache),
        class_names=(),
    )
    if few is None:
        few = own.part("labelled")
    names = classes_in(few.labels or (), few.remarks)
    images = OpenedImages(
        source, few, unlabelled, own.tables, names, own.max_megapixels
    )
    dataset = dataclasses.replace(dataset, images=images)
    return dataclasses.replace(
        found,
        dataset=_tested(run, dataset, own, options, out),
        images=_tell_images(run, own, unlabelled.names, named),
    )


def _asked(asked: Any, begun: Any) -> Any:
    return begun if asked is None else asked


def _is_own_table(run: pathlib.Path, source: str, name: str) -> bool:
    """Whether a source is the table that a run has in its folder."""
    return os.path.abspath(source) == os.path.abspath(run / name)


def _labelled(
    run: pathlib.Path,
    own: OwnDataset,
    options: TrainOptions,
    folder: str | None,
    named: pathlib.Path,
    kept: Mapping[str, str],
) -> tuple[ImageList | None, Joined]:
    """All labels, None where those of the run are no files; and what is new."""
    given, source = options.labelled, str(own.labelled)
    same_source = given is not None and resolved_source(given) == source
    if not are_files(source) or (given is not None and not are_files(given)):
        if given is None or same_source:
            return None, Joined(own, None, None, None, False)
        raise RunError(
            "Labels are merged by the files that they are of: --labelled of a run that "
            "goes on must be a folder or a table, and that of the run, too. Received: "
            f"{given}, and a run with {source}. Begin another run with all labels in "
            "one source."
        )
    noted = noted_labels(run, own)
    before = None if noted is None else by_file(noted)
    now, remarks = _own_labels(own, before)
    together = now
    if given is not None and not same_source:
        more = _opened(resolved_source(given), own, options, folder)
        names = [kept.get(os.path.abspath(name), name) for name in more.names]
        together = merged(now, by_file(zip(names, more.labels or (), strict=True)))
        remarks += more.remarks
    before, behind = (now, None) if before is None else (before, changes(before, now))
    found = changes(before, together)
    if behind:
        tell(f"In {source}, since the run in {named} was trained: {behind.told()}.")
    tell(
        f"Labels: {len(before):,} of the run in {named}, {len(together):,} now: "
        f"{found.told()}."
    )
    tell_changed(found)
    _tell_classes(before, together)
    images = image_list(
        [name for name, _ in together.values()],
        tuple(label for _, label in together.values()),
        dict.fromkeys(remarks),
    )
    if own.max_megapixels is not None:
        limit = pixels_of(own.max_megapixels)
        images = dataclasses.replace(images, max_pixels=limit)
    return images, Joined(own, found, behind, None, not found)


def _own_labels(
    own: OwnDataset, noted: dict[str, tuple[str, str]] | None
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """What the source of a run's labels says now; what it said where it is gone."""
    try:
        images = own.part("labelled")
    except FileNotFoundError:
        if noted is None:
            raise
        tell(
            f"Note: {own.labelled} is not there any more; the labels are those that "
            "the run has noted."
        )
        return noted, []
    labels = zip(images.names, images.labels or (), strict=True)
    return by_file(labels), list(images.remarks)


def _opened(
    source: str, own: OwnDataset, options: TrainOptions, folder: str | None
) -> ImageList:
    """Labels that are given: what is a class of the run is one here, too."""
    check_source(source, "labelled")
    options.check_tables_named([source])
    begun = TableOptions(
        keep_labels=own.tables.keep_labels, unknown_labels=own.tables.unknown_labels
    )
    tables = options.asked_tables(begun).keeping(own.class_names)
    return open_images(source, "labelled", tables, folder, own.max_megapixels)


def _tell_classes(before: FileLabels, now: FileLabels) -> None:
    earlier, later = ({label for _, label in one.values()} for one in (before, now))
    for names, what in (
        (later - earlier, "New classes"),
        (earlier - later, "Classes that have no label any more, and are left out"),
    ):
        if names:
            tell(f"{what}: {', '.join(map(repr, sorted(names)))}.")


def _unlabelled(own: OwnDataset, options: TrainOptions) -> tuple[ImageList, str | None]:
    """The unlabelled images of a run and those that are given, and what names them:
    None where nothing does yet."""

    def opened(source: str) -> ImageList:
        tables, megapixels = own.table_options, own.max_megapixels
        return open_images(source, "unlabelled", tables, max_megapixels=megapixels)

    source, given = str(own.unlabelled), options.unlabelled
    if given is None or resolved_source(given) == source:
        return opened(source), source
    given = resolved_source(given)
    check_source(given, "unlabelled")
    if not (are_files(source) and are_files(given)):
        raise RunError(
            "--unlabelled of a run that goes on must be a folder or a table, and that "
            f"of the run, too. Received: {given}, and a run with {source}. Bring the "
            "images into one source, and begin another run."
        )
    more = opened(given)
    try:
        images = opened(source)
    except FileNotFoundError:
        tell(f"Note: {source} is not there any more; {given} takes its place.")
        return more, given
    files = {os.path.realpath(name): name for name in images.names}
    others = {os.path.realpath(name): name for name in more.names}
    if others.keys() <= files.keys():
        return images, source
    if files.keys() <= others.keys():
        return more, given
    names = list({**others, **files}.values())
    remarks = dict.fromkeys((*images.remarks, *more.remarks))
    joined = image_list(names, None, remarks)
    return dataclasses.replace(joined, max_pixels=images.max_pixels), None


def _tested(
    run: pathlib.Path,
    dataset: OwnDataset,
    own: OwnDataset,
    options: TrainOptions,
    out: pathlib.Path,
) -> OwnDataset:
    """The data set with what it is tested on.

    A table may name its images relative to the folder of the run's, which are in
    several by now, or stand in a folder that is not needed any more.
    """
    if options.test is not None:
        check_source(options.test, "test")
        return dataclasses.replace(dataset, test=resolved_source(options.test))
    if own.test is None or not is_table(own.test):
        return dataset
    of_run = _is_own_table(run, str(own.test), TESTED)
    if dataset.images_folder == own.images_folder and not of_run:
        return dataset
    tested = own.knowing(own.class_names).part("test")
    path = out / TESTED
    path.parent.mkdir(parents=True, exist_ok=True)
    pairs = list(zip(tested.names, tested.labels or (), strict=True))
    write_files(path, pairs, own.tables)
    return dataclasses.replace(dataset, test=str(path.absolute()))


def _tell_images(
    run: pathlib.Path, own: OwnDataset, names: Sequence[str], named: pathlib.Path
) -> dict[str, int] | None:
    """How many unlabelled images the run has not known, and how many are gone."""
    noted = noted_names(run, own) if are_files(str(own.unlabelled)) else None
    if noted is None:
        tell(
            f"Unlabelled images: {len(names):,}. Which of them are new the run in "
            f"{named} has not noted."
        )
        return None
    before, now = _files(noted), _files(names)
    found = {"added": len(now - before), "removed": len(before - now)}
    tell(
        f"Unlabelled images: {len(before):,} of the run, {len(now):,} now: "
        f"{found['added']:,} added, {found['removed']:,} removed."
    )
    return found


def _files(names: Iterable[str]) -> set[str]:
    return {os.path.realpath(name) for name in names}
