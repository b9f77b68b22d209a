"""One run, from a data set's name to a table and a folder."""

import os
from collections.abc import Sequence

from semppl_keras.runs.options.train import TrainOptions
from semppl_keras.runs.results.trained_run import TrainedRun
from semppl_keras.runs.telling import told
from semppl_keras.runs.training_stages import train_with


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
            for the size that a pretrained backbone was trained with, otherwise for that
            of the labelled images, at most `data.defaults.LARGEST_USUAL_SIDE`.
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
            What is found is kept, and what `resume` goes on with. Where they are too
            few for any training of SemPPL, the run ends without it, with `epochs` 0 and
            classifiers of what there is by then, and says so; `from_run` goes on from
            it.
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
        log: What follows the run beside its folder: "wandb", "mlflow" or "tensorboard"
            (its steps, too), where it is installed. It gets the settings, the epochs of
            SemPPL, if there are any, and what is measured in the end. None for nothing;
            a run that goes on is asked again.
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
        RunError: A value is wrong, or what was asked for cannot be done. Too few
            `minutes` are no error, see there.
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
