"""How a run ends: what it came to is written down, and its folder put in order."""

import shutil
from typing import Any

import keras

from semppl_keras.callbacks import TrainingState
from semppl_keras.data import FewLabels
from semppl_keras.reports.run_table import run_headline
from semppl_keras.runs.ending import CHECKPOINTS as ENDING_CHECKPOINTS
from semppl_keras.runs.ending import Ended
from semppl_keras.runs.folder import versions
from semppl_keras.runs.job import Job
from semppl_keras.runs.kept_images import keep_images
from semppl_keras.runs.outcome import Outcome
from semppl_keras.runs.results.trained_run import TrainedRun
from semppl_keras.runs.run_models import EARLIER
from semppl_keras.runs.streaming import told_found
from semppl_keras.runs.telling import tell
from semppl_keras.runs.whole_files import write_json


def conclude(
    job: Job,
    state: TrainingState,
    ended: Ended,
    outcome: Outcome,
    *,
    read_seconds: float,
    seconds: float,
) -> TrainedRun:
    """Writes down what a run came to, which is finished with it.

    Args:
        job: The run, whose networks are written already.
        state: Of its training.
        ended: What it has ended with.
        outcome: What was measured.
        read_seconds: That its images took to be read.
        seconds: That the run has taken, measuring and all.

    Returns:
        `TrainedRun`.
    """
    folder, settings = job.folder, job.settings
    data = told_found(job.data, folder)
    metrics: dict[str, Any] = {
        **outcome.metrics,
        "ending": ended.settings,
        "read_seconds": round(read_seconds, 2),
        "train_seconds": round(state.seconds, 2),
        "seconds": round(seconds, 2),
        "backend": keras.backend.backend(),
        "seed": job.seed,
        "dataset": settings["dataset"],
        "labels_per_class": settings["labels_per_class"],
        "epochs": job.epochs,
        "steps_per_epoch": settings.get("steps_per_epoch"),
        "minutes": settings.get("minutes"),
        "num_labelled": len(data.x_labelled),
        "num_unlabelled": len(data.x_unlabelled),
        "num_test": num_test(data),
        "num_skipped": len(getattr(data, "skipped", ())),
        "versions": versions(),
        "recipe": job.recipe.to_dict(),
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
        seed=job.seed,
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


def num_test(data: FewLabels) -> int:
    """How many images there are to test on."""
    return 0 if data.x_test is None else len(data.x_test)
