"""A classifier out of a finished run, by teaching a network what it says."""

import os
import pathlib
import time

from semppl_keras import recipes
from semppl_keras.evaluation.classifier_titles import TITLES
from semppl_keras.runs.classifier_files import (
    checkpoint_folder,
    file_digest,
    keep_classifier,
)
from semppl_keras.runs.followed_classifier import classifier_figures, followed
from semppl_keras.runs.options.classifier import SAME, DistillationOptions
from semppl_keras.runs.results.trained_classifier import TrainedClassifier
from semppl_keras.runs.run_backbone import backbone_file, new_backbone
from semppl_keras.runs.run_models import CLASSIFIER
from semppl_keras.runs.run_to_train import run_to_train, seed_of
from semppl_keras.runs.teaching_rounds import teach_in_rounds
from semppl_keras.runs.telling import told


@told
def distil(
    run: str | os.PathLike[str],
    *,
    student: str | os.PathLike[str] = DistillationOptions.student,
    temperature: float = DistillationOptions.temperature,
    student_views: str | None = None,
    min_confidence: float = DistillationOptions.min_confidence,
    balance: bool = False,
    rounds: int = DistillationOptions.rounds,
    classifier: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    out: str | os.PathLike[str] | None = None,
    log: str | None = None,
    photos: str | os.PathLike[str] | None = None,
    trust: bool = False,
    verbose: int = 1,
) -> TrainedClassifier:
    """Teaches a network what a run's classifier says of all of its images.

    Args:
        run: Run folder, or a file that `pack` has written.
        student: "same", which goes on from what the teacher has learned, or another
            network, as `train` takes it for `backbone`.
        temperature: Of what the teacher says.
        student_views: Harder views for the student alone, while the teacher sees the
            images as they are (Noisy Student): "rand_augment", or a recipe of
            `semppl_keras.views`; None for the same for both.
        min_confidence: In [0, 1), below which the probability of the teacher's class
            leaves an image without weight.
        balance: Whether images are weighted so that the teacher's classes count alike.
        rounds: How often, the student of one being the teacher of the next.
        classifier: Another one as the teacher: its name, such as "linear", or a
            `classifier.keras`; None for the run's.
        epochs: Passes over the images; None for those of
            `recipes.classifiers.DISTILLATION`.
        minutes: How long it may take in all, in place of `epochs`: as many steps are
            trained as fit, by the speed of the first ones, which are thrown away.
        learning_rate: At the beginning; None for the recipe's.
        seed: Integer; None for the run's.
        out: Folder to write `classifier.keras` to; None for the run's.
        log: What follows the training beside it: "wandb", "mlflow" or "tensorboard",
            where it is installed. None for nothing.
        photos: Folder in which the images of the run are now; None for where they were.
        trust: Whether the run may be somebody else's.
        verbose: 0 to say nothing, 1 for what the command says, 2 for more.

    Returns:
        `TrainedClassifier`, the dict that `classifier.json` holds.

    Raises:
        RunError: A value is wrong, or what was asked for cannot be done.
        TypeError: A value is of the wrong kind.

    Example:
        >>> distil("runs/photos", student="small", out="runs/photos_small")
        >>> distil("runs/photos", student_views="rand_augment", balance=True, rounds=2)
    """
    return distil_with(
        DistillationOptions.of(
            run=run,
            student=student,
            temperature=temperature,
            student_views=student_views,
            min_confidence=min_confidence,
            balance=balance,
            rounds=rounds,
            classifier=classifier,
            epochs=epochs,
            minutes=minutes,
            learning_rate=learning_rate,
            seed=seed,
            out=out,
            log=log,
            photos=photos,
            trust=trust,
        )
    )


def distil_with(options: DistillationOptions) -> TrainedClassifier:
    """The same, of options that are filled already."""
    asked = time.monotonic()
    with run_to_train(options) as finished:
        # Its temperature is the distiller's.
        teacher, how = finished.classifier(options.classifier, calibrated=False)
        student: dict[str, str] = {}
        if options.student == SAME:
            # What votes, or knows no network, cannot go on to learn.
            learns = how not in (TITLES["memory"], TITLES["pixels"])
            pupil = teacher if learns else finished.linear_classifier()
        else:
            recipe = recipes.for_backbone(options.student, finished.image_size)
            pupil = new_backbone(recipe, finished.channels, trust=options.trust)
            path = backbone_file(recipe)
            if path is not None:
                student["student_file"] = file_digest(path)
        images = finished.data.x_train
        chosen = {
            "student": options.student,
            "teacher": how,
            "seed": seed_of(options, finished),
            "num_images": len(images),
        }
        if options.rounds > 1:
            chosen["rounds"] = options.rounds
        kept = pathlib.Path(options.classifier or finished.folder / CLASSIFIER)
        teaching = kept if kept.exists() else finished.folder / "model.keras"
        begun = time.monotonic()
        with followed("distil", finished, options) as tracker:
            distiller, settings = teach_in_rounds(
                pupil,
                teacher,
                # All of them: a teacher can say something of labelled images, too.
                images,
                rounds=options.rounds,
                goes_on=options.student == SAME,
                begun=asked,
                minutes=options.minutes,
                temperature=options.temperature,
                student_views=options.student_views,
                min_confidence=options.min_confidence,
                balance=options.balance,
                epochs=options.epochs,
                learning_rate=options.learning_rate,
                seed=seed_of(options, finished),
                checkpoints=checkpoint_folder(options.out, finished),
                depends_on={
                    **chosen,
                    "how": "distilled",
                    "model": file_digest(teaching),
                    **student,
                },
                tracker=tracker,
                trust=options.trust,
            )
            settings = {**settings, **chosen}
            classifier = distiller.classifier
            trained = keep_classifier(
                options.out, classifier, finished, "distilled", settings, begun
            )
            tracker.conclude(classifier_figures(trained))
        return trained
