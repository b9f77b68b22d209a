"""What a run does from its options to its table and folder, stage after stage."""

import contextlib
import pathlib
import shutil
import time
from collections.abc import Mapping
from typing import Any

import keras

from semppl_keras.callbacks import TrainingState, latest_checkpoint
from semppl_keras.data import Dataset, FewLabels
from semppl_keras.data.images.decoding import TooManyUnreadable
from semppl_keras.pretraining import SemPPL
from semppl_keras.recipes import Recipe
from semppl_keras.recipes.defaults import (
    ENDING_MEASURING_SHARE,
    RUN_MEASURING_SHARE,
)
from semppl_keras.reports.run_table import run_headline
from semppl_keras.reports.shown import shown
from semppl_keras.runs.budget import Budget, TooShort
from semppl_keras.runs.candidates import Candidate
from semppl_keras.runs.earlier_network import earlier_network
from semppl_keras.runs.embedded import MOST_IMAGES
from semppl_keras.runs.ending import CHECKPOINTS as ENDING_CHECKPOINTS
from semppl_keras.runs.ending import (
    Ended,
    ending_for,
    train_ending,
    untrained_ending,
)
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.final_figures import final_figures
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.folder import (
    dataset_of,
    goes_on,
    load_data,
    read_metrics,
    recipe_of,
    value_range_of,
    versions,
)
from semppl_keras.runs.found_files import found_again
from semppl_keras.runs.frozen import Frozen
from semppl_keras.runs.going_on import (
    EARLIER,
    check_channels,
    copy_networks,
    going_on,
    remove_copies,
)
from semppl_keras.runs.kept_features import Start, keep_features, start_of
from semppl_keras.runs.kept_images import keep_images
from semppl_keras.runs.listed_labels import with_listed
from semppl_keras.runs.members import strange_rows
from semppl_keras.runs.network_training import (
    begin_training,
    fit_schedule,
    steps_in_epoch,
    train_network,
)
from semppl_keras.runs.noted_files import with_own_tables
from semppl_keras.runs.options.train import TrainOptions
from semppl_keras.runs.outcome import (
    frozen_network,
    frozen_of,
    measured_before,
    outcome_of,
    trained_features,
)
from semppl_keras.runs.results.trained_run import TrainedRun
from semppl_keras.runs.resuming import tell_where
from semppl_keras.runs.run_backbone import (
    BACKBONE,
    backbone_file,
    network_for_labels_alone,
    new_backbone,
)
from semppl_keras.runs.run_files import write_run_files
from semppl_keras.runs.safety.loading import check_folder
from semppl_keras.runs.safety.lock import locked
from semppl_keras.runs.safety.out_paths import check_can_write
from semppl_keras.runs.safety.own_runs import check_sources, signed
from semppl_keras.runs.settings import (
    check_free,
    check_tells_strangers,
    new_settings,
    run_folder,
    schedule_of,
    settings_of,
    sources_are_given,
    with_data,
)
from semppl_keras.runs.skipped_files import write_skipped
from semppl_keras.runs.streaming import told_found
from semppl_keras.runs.telling import tell, verbose_as
from semppl_keras.runs.tracker import OF_RUN, Place
from semppl_keras.runs.trackers import check_tracker, tracked
from semppl_keras.runs.tuned import (
    CHECKPOINTS,
    tune,
    tuned_again,
    tuned_candidates,
    tuned_part,
)
from semppl_keras.runs.whole_files import save_model, whole_file, write_json
from semppl_keras.runs.without_semppl import (
    begins_without_any,
    ends_without_semppl,
    unless_no_time_is_left,
)


def train_with(options: TrainOptions) -> TrainedRun:
    """A run from beginning to end, of the options of `runs.training.train`."""
    options = with_listed(options)
    folder = run_folder(options)
    check_can_write(folder, folder=True)
    check_tracker(options.log, OF_RUN)
    if options.resume and not folder.is_dir():
        # Nothing is made where there is no run.
        settings_of(folder, options)
    with locked(folder):
        if not options.resume:
            check_free(folder)
        try:
            with contextlib.ExitStack() as following:
                return _run(folder, options, following)
        except BaseException:
            if not options.resume and not (folder / "run.json").exists():
                # Nothing of it was there before (`check_free`), and the same command is
                # to do.
                if options.from_run is not None:
                    remove_copies(folder)
                # What a tracker has begun with.
                shutil.rmtree(folder / "logs", ignore_errors=True)
            raise


def _run(
    folder: pathlib.Path, options: TrainOptions, following: contextlib.ExitStack
) -> TrainedRun:
    """The same in a folder to which nothing else writes meanwhile; what follows it is
    told in the end how it went."""
    begun = time.monotonic()
    earlier: FinishedRun | None = None
    if options.resume:
        settings = settings_of(folder, options)
        check_folder(folder, trust=options.trust)
        if (folder / "metrics.json").exists():
            finished = TrainedRun(folder, read_metrics(folder))
            tell(f"The run in {folder} is finished: nothing to resume.\n")
            tell(finished.table())
            return finished
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
    read_seconds = time.monotonic() - begun
    settings = signed(settings)
    seed = settings["seed"]
    channels = data.x_train.shape[-1]
    if earlier is not None:
        check_channels(earlier, channels)
        copy_networks(earlier, settings, folder)
    _keep_backbone(recipe, folder)

    def make_backbone() -> keras.Model:
        return new_backbone(recipe, channels, folder, trust=options.trust)

    def make_baseline() -> keras.Model:
        return network_for_labels_alone(recipe, channels, folder, trust=options.trust)

    def begin() -> tuple[SemPPL, TrainingState, Start]:
        network = None
        if goes_on(settings):
            network = earlier_network(
                folder,
                settings,
                data,
                begun=latest_checkpoint(folder / "checkpoints") is not None,
                trust=options.trust,
            )
        return begin_training(
            folder, settings, data, recipe, make_backbone, network, options
        )

    model, state, start = begin()
    # Its network has learned something here, now or before.
    has_learned = settings["epochs"] > 0 or goes_on(settings)
    ending = None
    if has_learned:
        ending = ending_for(
            data, model.views.large_size, pretrained=recipe.from_weights
        )
    budget = None
    if settings.get("minutes") is not None:
        spent = state.seconds + time.monotonic() - begun
        budget = Budget(settings["minutes"], RUN_MEASURING_SHARE, spent=spent)
    _tell_begun(settings, data, recipe, state)
    if goes_on(settings) or options.photos is not None:
        # It is all here that it needs of the other run, or knows where its images are.
        write_run_files(folder, settings, data)
    if budget is None and not has_learned and not recipe.from_weights:
        begins_without_any(folder, settings, data)
    frozen: Frozen | None = None
    tuned: dict[str, Candidate] = {}
    if recipe.from_weights:
        frozen, tuned = measured_before(folder, settings)
        if frozen is None:
            frozen = frozen_of(
                folder, settings, data, recipe, make_backbone, trust=options.trust
            )
            # Its images fit, and what was measured of it is there for a training that
            # goes on.
            write_run_files(folder, settings, data)
    fitting = budget if schedule_of(settings) is None else None
    if fitting is not None and not tuned:
        settings = unless_no_time_is_left(fitting, folder, settings, data)
    kept = None
    if start.lower is not None and state.epoch < settings["epochs"]:
        kept = keep_features(start.lower, data, recipe, seed=seed, folder=folder)
    fine_tuned: keras.Model | None = None
    if frozen is not None and frozen.features is not None:
        if settings["epochs"]:
            untrained = start
            if goes_on(settings):
                # With the labels of now it begins where it began with the earlier ones.
                network = frozen_network(
                    folder, settings, recipe, make_backbone, trust=options.trust
                )
                untrained = start_of(recipe, network.backbone)
            try:
                teacher = tune(
                    folder,
                    settings,
                    data,
                    untrained,
                    frozen.features,
                    kept,
                    budget=fitting,
                    trust=options.trust,
                )
            except TooShort as error:
                tell(f"Note: the backbone is not fine-tuned by itself. {error}")
            else:
                tuned = tuned_candidates(folder, settings, data, teacher, untrained)
                fine_tuned = teacher.backbone
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        else:
            tuned = tuned_again(folder, settings, data, trust=options.trust)
    elif tuned and settings["epochs"] and not state.step and not goes_on(settings):
        # It was interrupted after the fine-tuning and before it had trained further.
        fine_tuned = tuned_part(folder, recipe, trust=options.trust)
    if fitting is not None and settings["epochs"]:
        share = 1.0 - (ending.share if ending else 0.0)
        try:
            schedule = fit_schedule(fitting, share, settings, model, data, recipe, kept)
            settings = {**settings, **schedule.to_dict()}
        except TooShort as error:
            settings = ends_without_semppl(folder, settings, data, error)
    if fitting is not None:
        recipe = recipe_of(settings)
        # What has been timed is thrown away.
        with verbose_as(0):
            model, state, start = begin()
    has_learned = settings["epochs"] > 0 or goes_on(settings)
    masks = bool(settings.get("strangers")) and state.epoch < settings["epochs"]
    if frozen is not None and frozen.features is None and (masks or not has_learned):
        # It was measured before the run was interrupted.
        frozen = frozen_of(
            folder, settings, data, recipe, make_backbone, trust=options.trust
        )
    never_trained = not has_learned and not recipe.from_weights
    if never_trained:
        # What `model.keras` is going to have, which another one would not be.
        network = model.backbone
        frozen = frozen_of(folder, settings, data, recipe, lambda: network)
    tracker = following.enter_context(
        tracked(options.log, Place.of_run(folder), settings, state.step)
    )
    if settings["epochs"]:
        if fine_tuned is not None and not state.step and not goes_on(settings):
            model.start_from(fine_tuned)
        strangers = None
        if masks and frozen is not None and frozen.features is not None:
            strangers = strange_rows(frozen.features, data)
        state = train_network(
            folder,
            settings,
            data,
            recipe,
            model,
            state,
            kept,
            options,
            tracker,
            strangers,
        )
    if start.lower is not None:
        model = model.on_pictures(start.lower, start.views)
    save_model(model, folder / "model.keras")

    of, ended = None, Ended({})
    if never_trained:
        ended = untrained_ending(folder, settings, data, model.views)
    if has_learned:
        tell("Measuring ...")
        most = ending.combination.images if ending else MOST_IMAGES
        of = trained_features(model, data, seed, most)
        ended = train_ending(
            ending,
            folder,
            settings,
            data,
            model,
            of,
            most_steps=settings["epochs"] * steps_in_epoch(settings, data, recipe),
            budget=budget and budget.with_measuring_share(ENDING_MEASURING_SHARE),
            trust=options.trust,
        )
    baseline = settings["epochs"] > 0 and not recipe.from_weights
    outcome = outcome_of(
        folder,
        settings,
        data,
        model,
        frozen,
        tuned,
        of,
        ended.candidates,
        make_baseline if baseline else None,
    )
    data = told_found(data, folder)
    metrics = {
        **outcome.metrics,
        "ending": ended.settings,
        "read_seconds": round(read_seconds, 2),
        "train_seconds": round(state.seconds, 2),
        "seconds": round(time.monotonic() - begun, 2),
        "backend": keras.backend.backend(),
        "seed": seed,
        "dataset": settings["dataset"],
        "labels_per_class": settings["labels_per_class"],
        "epochs": settings["epochs"],
        "steps_per_epoch": settings.get("steps_per_epoch"),
        "minutes": settings.get("minutes"),
        "num_labelled": len(data.x_labelled),
        "num_unlabelled": len(data.x_unlabelled),
        "num_test": _num_test(data),
        "num_skipped": len(getattr(data, "skipped", ())),
        "versions": versions(),
        "recipe": recipe.to_dict(),
    }

    from semppl_keras.reports.run_picture import write_report

    write_report(
        folder / "report.png",
        history=state.history,
        embeddings=outcome.features,
        labels=outcome.labels,
        predictions=outcome.predictions,
        class_names=data.class_names,
        images="labelled" if data.x_test is None else "test",
        classifier=outcome.classifier,
        title=run_headline(metrics),
        seed=seed,
    )
    write_json(folder / "history.json", state.history)
    keep_images(folder, settings, data)
    # Last: it marks the run as finished.
    write_json(folder / "metrics.json", metrics)
    # The models have all that is in them.
    for name in ("checkpoints", ENDING_CHECKPOINTS):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / EARLIER).unlink(missing_ok=True)
    trained = TrainedRun(folder, metrics)
    tell(f"\n{trained.table()}")
    tracker.conclude(final_figures(metrics))
    return trained


def _keep_backbone(recipe: Recipe, folder: pathlib.Path) -> None:
    """Copies the file of a backbone, which may be gone when the run goes on."""
    path, kept = backbone_file(recipe), folder / BACKBONE
    if path is not None and path.is_file() and not kept.exists():
        with whole_file(kept) as partial:
            shutil.copyfile(path, partial)


def _tell_begun(
    settings: Mapping[str, Any],
    data: FewLabels,
    recipe: Recipe,
    state: TrainingState,
) -> None:
    """Says what is trained, and where a training goes on."""
    epochs, minutes = settings["epochs"], settings.get("minutes")
    length = f"{epochs} epochs" if minutes is None else f"{minutes:g} minutes"
    tell(
        f"{shown(data.name)}: {len(data.x_unlabelled):,} unlabelled and "
        f"{len(data.x_labelled):,} labelled images of {data.num_classes} classes, "
        f"{_num_test(data):,} to test on. Recipe {recipe.name}, {length}, "
        f"{keras.backend.backend()}."
    )
    _tell_remarks(data)
    if state.step:
        tell_where(state)


def _tell_remarks(data: FewLabels) -> None:
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
        _tell_remarks(data)
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


def _num_test(data: FewLabels) -> int:
    return 0 if data.x_test is None else len(data.x_test)
