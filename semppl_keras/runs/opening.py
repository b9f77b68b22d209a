"""How a run begins: what its options, its folder or another run say it trains on."""

import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

from semppl_keras.data import Dataset, FewLabels
from semppl_keras.data.images.decoding import TooManyUnreadable
from semppl_keras.recipes import Recipe
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.folder import (
    dataset_of,
    load_data,
    recipe_of,
    value_range_of,
)
from semppl_keras.runs.found_files import found_again
from semppl_keras.runs.going_on import check_channels, copy_networks, going_on
from semppl_keras.runs.job import Job
from semppl_keras.runs.noted_files import with_own_tables
from semppl_keras.runs.options.train import TrainOptions
from semppl_keras.runs.run_backbone import BACKBONE, backbone_file
from semppl_keras.runs.safety.loading import check_folder
from semppl_keras.runs.safety.own_runs import check_sources, signed
from semppl_keras.runs.settings import (
    check_tells_strangers,
    new_settings,
    settings_of,
    sources_are_given,
    with_data,
)
from semppl_keras.runs.skipped_files import write_skipped
from semppl_keras.runs.telling import tell
from semppl_keras.runs.whole_files import whole_file


def opened(folder: pathlib.Path, options: TrainOptions) -> Job | None:
    """What a run trains, its images read and its networks copied.

    Args:
        folder: Of the run, to which nothing else writes meanwhile.
        options: `TrainOptions`.

    Returns:
        The `Job`; None for a run that is finished.

    Raises:
        RunError: The options, the folder, the earlier run or the images are not such as
            a run can be trained on.
    """
    earlier: FinishedRun | None = None
    if options.resume:
        settings = settings_of(folder, options)
        check_folder(folder, trust=options.trust)
        if (folder / "metrics.json").exists():
            return None
        dataset = with_own_tables(dataset_of(settings), folder)
        if not sources_are_given(dataset, options):
            check_sources(
                folder,
                settings,
                photos=options.photos is not None,
                network=True,
                trust=options.trust,
            )
    elif options.from_run is None:
        settings, dataset = new_settings(options)
    else:
        begins = going_on(options, folder)
        settings, dataset = begins.settings, begins.dataset
        earlier = begins.finished
    recipe = recipe_of(settings)
    check_tells_strangers(settings, recipe)
    photos = options.photos if options.resume else None
    with found_again(dataset, folder, photos) as dataset:
        data = _load(dataset, settings, recipe, folder)
        settings = with_data(settings, data, folder)
    if photos is not None:
        dataset = with_own_tables(dataset, folder)
        settings = {**settings, "dataset": dataset.to_json()}
    settings = signed(settings)
    if earlier is not None:
        check_channels(earlier, data.x_train.shape[-1])
        copy_networks(earlier, settings, folder)
    _keep_backbone(recipe, folder)
    return Job(folder, settings, data, options.trust)


def tell_remarks(data: FewLabels) -> None:
    """Says what was noticed as the images were read."""
    for remark in getattr(data, "remarks", ()):
        tell(f"Note: {remark}")


def _load(
    dataset: Dataset,
    settings: Mapping[str, Any],
    recipe: Recipe,
    folder: pathlib.Path,
) -> FewLabels:
    labels_per_class = settings["labels_per_class"]
    try:
        data = load_data(
            dataset,
            labels_per_class,
            settings["seed"],
            recipe,
            folder=folder,
            value_range=value_range_of(settings),
        )
    except TooManyUnreadable as error:
        path = folder / "skipped.tsv"
        write_skipped(path, error.skipped)
        raise RunError(f"{error} All of them are named in {path}.") from error
    # Classifiers alone need none.
    if settings["epochs"] and len(data.unlabelled_indices) == 0:
        # Among them, which are copies of labelled ones.
        tell_remarks(data)
        asked, remedy = "labels of", "Add images"
        if labels_per_class != "all":
            asked = f"--labels-per-class {labels_per_class}, which takes labels of"
            remedy = "Ask for fewer"
        raise RunError(
            "There must be unlabelled images to learn from, other than the labelled "
            f"ones. Received: {asked} all {len(data.x_train):,} training images that "
            f"can be read. {remedy}, or fit the classifiers alone: --epochs 0."
        )
    return data


def _keep_backbone(recipe: Recipe, folder: pathlib.Path) -> None:
    """Copies the file of a backbone, which may be gone when the run goes on."""
    path, kept = backbone_file(recipe), folder / BACKBONE
    if path is not None and path.is_file() and not kept.exists():
        with whole_file(kept) as partial:
            shutil.copyfile(path, partial)
