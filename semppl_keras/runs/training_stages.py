"""What a run does from its options to its table and folder, stage after stage."""

import pathlib
import shutil
import time

import keras

from semppl_keras.callbacks import TrainingState, latest_checkpoint
from semppl_keras.pretraining import SemPPL
from semppl_keras.recipes.defaults import (
    ENDING_MEASURING_SHARE,
    RUN_MEASURING_SHARE,
)
from semppl_keras.reports.shown import shown
from semppl_keras.runs.budget import Budget, TooShort
from semppl_keras.runs.candidates import Candidate
from semppl_keras.runs.concluding import conclude, num_test
from semppl_keras.runs.earlier_network import earlier_network
from semppl_keras.runs.embedded import MOST_IMAGES, Embedded
from semppl_keras.runs.ending import Ended, ending_for, train_ending, untrained_ending
from semppl_keras.runs.final_figures import final_figures
from semppl_keras.runs.folder import read_metrics
from semppl_keras.runs.frozen import Frozen
from semppl_keras.runs.going_on import remove_copies
from semppl_keras.runs.job import Job
from semppl_keras.runs.kept_features import KeptFeatures, Start, keep_features, start_of
from semppl_keras.runs.listed_labels import with_listed
from semppl_keras.runs.members import strange_rows
from semppl_keras.runs.network_training import (
    begin_training,
    fit_schedule,
    steps_in_epoch,
    train_network,
)
from semppl_keras.runs.opening import opened, tell_remarks
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
from semppl_keras.runs.run_files import write_run_files
from semppl_keras.runs.run_place import check_free, run_folder
from semppl_keras.runs.safety.lock import locked
from semppl_keras.runs.safety.out_paths import check_can_write
from semppl_keras.runs.settings import schedule_of, settings_of
from semppl_keras.runs.telling import tell, verbose_as
from semppl_keras.runs.tracker import OF_RUN, Place, Tracker
from semppl_keras.runs.trackers import check_tracker, tracked
from semppl_keras.runs.tuned import (
    CHECKPOINTS,
    tune,
    tuned_again,
    tuned_candidates,
    tuned_part,
)
from semppl_keras.runs.whole_files import save_model
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
            return _train(folder, options)
        except BaseException:
            if not options.resume and not (folder / "run.json").exists():
                # Nothing of it was there before (`check_free`), and the same command is
                # to do.
                if options.from_run is not None:
                    remove_copies(folder)
                # What a tracker has begun with.
                shutil.rmtree(folder / "logs", ignore_errors=True)
            raise


def _train(folder: pathlib.Path, options: TrainOptions) -> TrainedRun:
    """The same in a folder to which nothing else writes meanwhile."""
    begun = time.monotonic()
    job = opened(folder, options)
    if job is None:
        finished = TrainedRun(folder, read_metrics(folder))
        tell(f"The run in {folder} is finished: nothing to resume.\n")
        tell(finished.table())
        return finished
    stages = _Stages(job, options, begun)
    stages.note_beginning()
    stages.measure_frozen()
    stages.check_time()
    stages.keep_features()
    stages.fine_tune()
    stages.fit_minutes()
    stages.measure_untrained()
    following = tracked(
        options.log, Place.of_run(folder), stages.job.settings, stages.state.step
    )
    with following as tracker:
        stages.train(tracker)
        trained = stages.conclude()
        tracker.conclude(final_figures(trained))
    return trained


class _Stages:
    """The stages of a run, each of which leaves here what later ones need.

    Args:
        job: What is trained; a stage that finds how long, or that there is no time for
            it, leaves another.
        options: `TrainOptions`.
        begun: When the run was, by `time.monotonic`.
    """

    def __init__(self, job: Job, options: TrainOptions, begun: float) -> None:
        self.job = job
        self._options = options
        self._begun = begun
        self._read_seconds = time.monotonic() - begun
        self.model, self.state, self._start = self._begin()
        self._ending = None
        if job.has_learned:
            self._ending = ending_for(
                job.data,
                self.model.views.large_size,
                pretrained=job.recipe.from_weights,
            )
        self._budget: Budget | None = None
        if job.settings.get("minutes") is not None:
            spent = self.state.seconds + time.monotonic() - begun
            minutes = job.settings["minutes"]
            self._budget = Budget(minutes, RUN_MEASURING_SHARE, spent=spent)
        # What is still to be fitted to the minutes.
        self._fitting = self._budget if schedule_of(job.settings) is None else None
        # The backbone before all training, and fine-tuned by itself; what is trained
        # on in the place of images.
        self._frozen: Frozen | None = None
        self._tuned: dict[str, Candidate] = {}
        self._fine_tuned: keras.Model | None = None
        self._kept: KeptFeatures | None = None

    def _begin(self) -> tuple[SemPPL, TrainingState, Start]:
        """The model, maybe trained in part already, and what it starts from."""
        job, network = self.job, None
        if job.goes_on:
            begun = latest_checkpoint(job.folder / "checkpoints") is not None
            network = earlier_network(job, begun=begun)
        return begin_training(job, network)

    def note_beginning(self) -> None:
        """Says what is trained, and makes the folder a run where that may be known."""
        job = self.job
        _tell_begun(job, self.state)
        if job.goes_on or self._options.photos is not None:
            # It is all here that it needs of the other run, or knows where its images
            # are.
            write_run_files(job)
        if self._budget is None and not job.has_learned and not job.recipe.from_weights:
            begins_without_any(job)

    def measure_frozen(self) -> None:
        """Measures a backbone that came with weights; not again, where a note tells."""
        if self.job.recipe.from_weights:
            self._frozen, self._tuned = measured_before(self.job)
            if self._frozen is None:
                self._frozen = frozen_of(self.job)
                # Its images fit, and what was measured of it is there for a training
                # that goes on.
                write_run_files(self.job)

    def check_time(self) -> None:
        """Leaves all training out where the minutes are over already."""
        if self._fitting is not None and not self._tuned:
            self.job = unless_no_time_is_left(self._fitting, self.job)

    def keep_features(self) -> None:
        """Runs the part of the backbone that is not trained, where it is cut in two."""
        job, lower = self.job, self._start.lower
        if lower is None or self.state.epoch >= job.epochs:
            return
        try:
            self._kept = keep_features(
                lower,
                job.data,
                job.recipe,
                seed=job.seed,
                folder=job.folder,
                budget=self._fitting,
            )
        except TooShort as error:
            self.job = ends_without_semppl(job, error)

    def fine_tune(self) -> None:
        """Fine-tunes a backbone that came with weights by itself, and measures that."""
        job, frozen = self.job, self._frozen
        if frozen is None or frozen.features is None:
            if self._tuned and self._begins_training:
                # It was interrupted after the fine-tuning and before it had trained
                # further.
                self._fine_tuned = tuned_part(job)
            return
        if not job.epochs:
            self._tuned = tuned_again(job)
            return
        untrained = self._start
        if job.goes_on:
            # With the labels of now it begins where it began with the earlier ones.
            untrained = start_of(job.recipe, frozen_network(job).backbone)
        try:
            teacher = tune(
                job, untrained, frozen.features, self._kept, budget=self._fitting
            )
        except TooShort as error:
            tell(f"Note: the backbone is not fine-tuned by itself. {error}")
        else:
            self._tuned = tuned_candidates(job, teacher, untrained)
            self._fine_tuned = teacher.backbone
        shutil.rmtree(job.folder / CHECKPOINTS, ignore_errors=True)

    def fit_minutes(self) -> None:
        """Finds how many steps of SemPPL fit the minutes of a run, if it has any."""
        if self._fitting is None:
            return
        if self.job.epochs:
            share = 1.0 - (self._ending.share if self._ending else 0.0)
            try:
                schedule = fit_schedule(
                    self._fitting, share, self.job, self.model, self._kept
                )
                self.job = self.job.with_settings(**schedule.to_dict())
            except TooShort as error:
                self.job = ends_without_semppl(self.job, error)
        # What has been timed is thrown away.
        with verbose_as(0):
            self.model, self.state, self._start = self._begin()

    def measure_untrained(self) -> None:
        """Measures the network as it is before a training, where that is needed and not
        known."""
        job, frozen = self.job, self._frozen
        needed = self._masks_strangers or not job.has_learned
        if frozen is not None and frozen.features is None and needed:
            # It was measured before the run was interrupted.
            self._frozen = frozen_of(job)
        if self._is_never_trained:
            # What `model.keras` is going to have, which another one would not be.
            self._frozen = frozen_of(job, self.model.backbone)

    def train(self, tracker: Tracker) -> None:
        """Trains SemPPL, or what is left of its training, and saves it."""
        job = self.job
        if job.epochs:
            if self._fine_tuned is not None and self._begins_training:
                self.model.start_from(self._fine_tuned)
            features = None if self._frozen is None else self._frozen.features
            strangers = None
            if self._masks_strangers and features is not None:
                strangers = strange_rows(features, job.data)
            self.state = train_network(
                job,
                self.model,
                self.state,
                self._kept,
                tracker,
                checkpoint_minutes=self._options.checkpoint_minutes,
                strangers=strangers,
            )
        if self._start.lower is not None:
            self.model = self.model.on_pictures(self._start.lower, self._start.views)
        save_model(self.model, job.folder / "model.keras")

    def conclude(self) -> TrainedRun:
        """Trains what the run ends with, measures all, and writes it down."""
        job = self.job
        features, ended = self._end()
        outcome = outcome_of(
            job, self.model, self._frozen, self._tuned, features, ended.candidates
        )
        return conclude(
            job,
            self.state,
            ended,
            outcome,
            read_seconds=self._read_seconds,
            seconds=time.monotonic() - self._begun,
        )

    def _end(self) -> tuple[Embedded | None, Ended]:
        """Features of the trained network, where it is trained, and the ending."""
        job, ending, budget = self.job, self._ending, self._budget
        if self._is_never_trained:
            return None, untrained_ending(job, self.model.views)
        if not job.has_learned:
            return None, Ended({})
        tell("Measuring ...")
        most = ending.combination.images if ending else MOST_IMAGES
        features = trained_features(self.model, job.data, job.seed, most)
        ended = train_ending(
            ending,
            job,
            self.model,
            features,
            most_steps=job.epochs * steps_in_epoch(job),
            budget=budget and budget.with_measuring_share(ENDING_MEASURING_SHARE),
        )
        return features, ended

    @property
    def _begins_training(self) -> bool:
        """Whether SemPPL has no step behind it, of this run or of one before."""
        return self.job.epochs > 0 and not self.state.step and not self.job.goes_on

    @property
    def _masks_strangers(self) -> bool:
        asked = bool(self.job.settings.get("strangers"))
        return asked and self.state.epoch < self.job.epochs

    @property
    def _is_never_trained(self) -> bool:
        """Whether the network stays as it was made, at random."""
        return not self.job.has_learned and not self.job.recipe.from_weights


def _tell_begun(job: Job, state: TrainingState) -> None:
    """Says what is trained, and where a training goes on."""
    data, minutes = job.data, job.settings.get("minutes")
    length = f"{job.epochs} epochs" if minutes is None else f"{minutes:g} minutes"
    tell(
        f"{shown(data.name)}: {len(data.x_unlabelled):,} unlabelled and "
        f"{len(data.x_labelled):,} labelled images of {data.num_classes} classes, "
        f"{num_test(data):,} to test on. Recipe {job.recipe.name}, {length}, "
        f"{keras.backend.backend()}."
    )
    tell_remarks(data)
    if state.step:
        tell_where(state)
