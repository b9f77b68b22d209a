"""One run, from a data set's name to a table and a folder."""

import os
import pathlib
import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from semppl_keras.callbacks import TrainingState, latest_checkpoint
from semppl_keras.data import Dataset, FewLabels
from semppl_keras.data.images.decoding import TooManyUnreadable
from semppl_keras.networks import ImageClassifier
from semppl_keras.pretraining import SemPPL
from semppl_keras.recipes import Recipe
from semppl_keras.recipes.defaults import (
    ENDING_MEASURING_SHARE,
    RUN_MEASURING_SHARE,
)
from semppl_keras.reports.shown import shown
from semppl_keras.reports.tables import run_headline
from semppl_keras.runs.budget import Budget, TooShort
from semppl_keras.runs.candidates import Candidate
from semppl_keras.runs.earlier_network import earlier_network
from semppl_keras.runs.embedded import MOST_IMAGES
from semppl_keras.runs.ending import CHECKPOINTS as ENDING_CHECKPOINTS
from semppl_keras.runs.ending import Ended, ending_for, train_ending
from semppl_keras.runs.errors import RunError
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
from semppl_keras.runs.telling import tell, told, verbose_as
from semppl_keras.runs.trackers import check_tracker
from semppl_keras.runs.tuned import (
    CHECKPOINTS,
    tune,
    tuned_again,
    tuned_candidates,
)
from semppl_keras.runs.whole_files import save_model, whole_file, write_json
from semppl_keras.runs.without_semppl import (
    ends_without_semppl,
    unless_no_time_is_left,
)


@told
def train(
    *,
    dataset: str | None = None,
    labelled_list: str | os.PathLike[str] | None = None,
    unlabelled: str | os.PathLike[str] | None = None,
    labelled: str | os.PathLike[str] | None = None,
    test: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    fit: str | None = None,
    value_range: tuple[float, float] | None = None,
    recipe: str | None = None,
    backbone: str | os.PathLike[str] | None = None,
    max_skipped: float | None = None,
    max_megapixels: float | None = None,
    cache: str | None = None,
    label_column: str | None = None,
    path_column: str | None = None,
    split_column: str | None = None,
    keep_labels: Sequence[str] | None = None,
    unknown_labels: Sequence[str] | None = None,
    labels_per_class: int | str | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    strangers: bool | None = None,
    balance: str | None = None,
    out: str | os.PathLike[str] | None = None,
    checkpoint_minutes: float | None = None,
    log: str | None = None,
    resume: bool | str | os.PathLike[str] | None = None,
    from_run: str | os.PathLike[str] | None = None,
    photos: str | os.PathLike[str] | None = None,
    trust: bool = False,
    verbose: int = 1,
) -> TrainedRun:
    """Trains SemPPL on images of which a few are labelled, and measures it.

    None stands for what is not asked for: in a new run for the default, and with
    `resume` for what the run was begun with.

    Args:
        dataset: "digits" or text that begins with "npz:", "tfds:" or "folder:".
        labelled_list: With "tfds:NAME" a file that names the images that are labelled,
            one a line, by the data set's `file_name`: its images are then read one by
            one, of any size, and tested on "validation" or "test".
        unlabelled: In its place your own images to learn from: a folder, or another
            source that `semppl train --help` names. Goes with `labelled`.
        labelled: Those with labels: a folder for each class, or a table of path,label.
        test: Images with labels to test on.
        image_size: At least 8, the side to which your own images are brought. None
            for that of the labelled images, at most
            `data.defaults.LARGEST_USUAL_SIDE`.
        fit: How your own images become squares: "pad" shows all of each, between bars,
            "crop" its central square, "stretch" all of it, out of shape. None for
            `data.defaults.FIT`.
        value_range: What becomes black and white in images of more than 8 bits a
            channel. None for what all of them need.
        recipe: One of `recipes.RECIPES`, such as "imagenet", the paper's, in the place
            of that which goes with the images; it has its own network.
        backbone: The network for your own images, as `backbones.pretrained` takes it:
            "keras:NAME" or "hub:PRESET" with pretrained weights, a file, or the name of
            a new one. None for one that fits their size.
        max_skipped: How many of your own images may be unreadable, a share from 0 to
            1. None for `data.defaults.MAX_SKIPPED`.
        max_megapixels: How many millions of pixels of an image may be decoded at once.
            None for as many as Pillow takes for safe, 89.
        cache: Where your own images, decoded, are kept: "memory"; "disk"; "none",
            decoded for each batch anew, of which there may be more than either holds;
            or "auto", for which None stands, the first of these that has room.
        label_column: The column of a table that has the labels.
        path_column: That which has the paths.
        split_column: "NAME=VALUE", a column and what it says of rows to train on.
        keep_labels: Labels that are classes, though spelled like one that is missing.
        unknown_labels: Further labels that stand for none.
        labels_per_class: How many labels of each class to use, at least 1, or "all".
            None for `data.defaults.LABELS_PER_CLASS`, of your own images for all.
        epochs: Passes over the unlabelled images. None for as many as the recipe has,
            of your own images as many as make `recipes.defaults.OWN_STEPS` steps, or
            `PRETRAINED_STEPS` with a pretrained backbone, of which 0 measures it alone.
        minutes: How long the whole run may take, in place of `epochs`: as many steps
            are trained as fit, by the speed of the first ones, which are thrown away.
            What is found is kept, and what `resume` goes on with.
        batch_size: Unlabelled images per step, at least 2. None for the recipe's.
        learning_rate: Its peak. None for the recipe's.
        seed: At least 0; draws split, labels, weights and views. None for 0.
        strangers: Whether unlabelled images that may show none of the classes teach
            less: by the features of a pretrained backbone, before it is trained. None
            for no.
        balance: What counts alike in the trainings where classes have unequal numbers
            of labels: "labels" as they are, "classes", or "estimated", by how frequent
            each class is among the images, by what the labels become over a graph.
            None for "labels".
        out: Run folder to write. None for one in "runs", named after the rest.
        checkpoint_minutes: So often there is a checkpoint within an epoch. None for
            `callbacks.defaults.CHECKPOINT_MINUTES`.
        log: What follows the training of SemPPL beside the run folder: "wandb",
            "mlflow" or "tensorboard" (its steps, too), where it is installed. None for
            nothing; a run that goes on is asked again.
        resume: Folder of a run to go on with; True for `out`.
        from_run: Folder of a finished run, from whose network and labels a new run in
            `out` goes on: `labelled` are further labels, of which the later count, and
            `unlabelled` further images. With `epochs=0` its network stays as it is, and
            the classifiers alone are made anew.
        photos: Folder in which the images of a run to go on with are now, each called
            as it was. None for where they were.
        trust: Whether a run to go on with may be somebody else's.
        verbose: 0 to say nothing, 1 as the command does, 2 for more.

    Returns:
        `TrainedRun`: the dict that `metrics.json` holds, and the folder.

    Raises:
        RunError: A value is wrong, or what was asked for cannot be done.
        TypeError: A value is of the wrong kind.
        KeyboardInterrupt: On Ctrl-C, in training once the step is done and saved.

    Example:
        >>> run = train(unlabelled="photos", labelled="labels.csv", out="runs/new")
        >>> run["linear_accuracy"], run.folder
    """
    return train_with(
        TrainOptions.of(
            dataset=dataset,
            labelled_list=labelled_list,
            unlabelled=unlabelled,
            labelled=labelled,
            test=test,
            image_size=image_size,
            fit=fit,
            value_range=value_range,
            recipe=recipe,
            backbone=backbone,
            max_skipped=max_skipped,
            max_megapixels=max_megapixels,
            cache=cache,
            label_column=label_column,
            path_column=path_column,
            split_column=split_column,
            keep_labels=keep_labels,
            unknown_labels=unknown_labels,
            labels_per_class=labels_per_class,
            epochs=epochs,
            minutes=minutes,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            strangers=strangers,
            balance=balance,
            out=out,
            checkpoint_minutes=checkpoint_minutes,
            log=log,
            resume=resume,
            from_run=from_run,
            photos=photos,
            trust=trust,
        )
    )


def train_with(options: TrainOptions) -> TrainedRun:
    """The same, of options that are filled already."""
    options = with_listed(options)
    folder = run_folder(options)
    check_can_write(folder, folder=True)
    if options.log is not None and options.epochs == 0:
        raise RunError(
            f"--log follows a training. Received: --log {options.log} with --epochs 0, "
            "which trains nothing. Leave one of the two out."
        )
    check_tracker(options.log)
    if options.resume and not folder.is_dir():
        # Nothing is made where there is no run.
        settings_of(folder, options)
    with locked(folder):
        if not options.resume:
            check_free(folder)
        try:
            return _run(folder, options)
        except BaseException:
            if options.from_run is not None and not (folder / "run.json").exists():
                # Nothing of it was there before, and the same command is to do.
                remove_copies(folder)
            raise


def _run(folder: pathlib.Path, options: TrainOptions) -> TrainedRun:
    """The same in a folder to which nothing else writes meanwhile."""
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
    if fitting is not None and frozen is not None and not tuned:
        settings = unless_no_time_is_left(fitting, folder, settings, data)
    kept = None
    if start.lower is not None and state.epoch < settings["epochs"]:
        kept = keep_features(start.lower, data, recipe, seed=seed, folder=folder)
    teacher: ImageClassifier | None = None
    if frozen is not None and frozen.features is not None:
        if settings["epochs"]:
            untrained = start
            if goes_on(settings):
                # With the labels of now it begins where it began with the earlier ones.
                network = frozen_network(
                    folder, settings, recipe, make_backbone, trust=options.trust
                )
                untrained = start_of(recipe, network.backbone)
            features = frozen.features
            teacher = tune(
                folder, settings, data, untrained, features, kept, trust=options.trust
            )
            tuned = tuned_candidates(folder, settings, data, teacher, untrained)
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        else:
            tuned = tuned_again(folder, settings, data, trust=options.trust)
    if fitting is not None and settings["epochs"]:
        share = 1.0 - (ending.share if ending else 0.0)
        try:
            schedule = fit_schedule(fitting, share, settings, model, data, recipe, kept)
            settings = {**settings, **schedule.to_dict()}
        except TooShort as error:
            if frozen is None:
                raise _how_to_go_on(folder, error) from error
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
    if settings["epochs"]:
        if teacher is not None and not state.step and not goes_on(settings):
            model.start_from(teacher.backbone)
        strangers = None
        if masks and frozen is not None and frozen.features is not None:
            strangers = strange_rows(frozen.features, data)
        state = train_network(
            folder, settings, data, recipe, model, state, kept, options, strangers
        )
    if start.lower is not None:
        model = model.on_pictures(start.lower, start.views)
    save_model(model, folder / "model.keras")

    of, ended = None, Ended({})
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
    return trained


def _how_to_go_on(folder: pathlib.Path, error: TooShort) -> TooShort:
    """The error of a run that is kept so far; the same where nothing of it is."""
    if not (folder / "run.json").exists():
        return error
    return TooShort(
        f"{error} What was begun is kept: semppl train --resume {folder} --minutes "
        f"{error.minutes:g} goes on from there.",
        error.minutes,
    )


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
    for remark in getattr(data, "remarks", ()):
        tell(f"Note: {remark}")
    if state.step:
        tell_where(state)


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
    if len(data.unlabelled_indices) == 0:
        raise RunError(
            "There must be unlabelled images to learn from. Received: "
            f"--labels-per-class {labels_per_class}, which makes all "
            f"{len(data.x_train):,} training images labelled ones. Ask for fewer."
        )
    return data


def _num_test(data: FewLabels) -> int:
    return 0 if data.x_test is None else len(data.x_test)
