"""The commands on run folders, called from Python.

    runs.train(unlabelled="photos", labelled="labels.csv", out="runs/photos")
    runs.label("runs/photos", "photos", out="guessed.csv", review=50)

Each function is the command of its name and does, writes and prints the same: its
keywords are the options of the command (`labels_per_class` for `--labels-per-class`),
None and False stand for an option that is not given, and values pass the same checks.
`semppl COMMAND --help` has all of them, with their defaults. Paths may be text or
`pathlib.Path`.

All of them raise `ValueError`, with the message of the command, where a value is wrong
or what was asked for cannot be done, and `TypeError` where a keyword is unknown or a
value of the wrong kind. Ctrl-C and too little memory are raised as they come.
"""

import argparse
import os

from semppl_keras import cli
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.terminal import plain_output


def train(
    *,
    unlabelled=None,
    labelled=None,
    test=None,
    dataset=None,
    image_size=None,
    backbone=None,
    labels_per_class=None,
    epochs=None,
    batch_size=None,
    learning_rate=None,
    seed=None,
    out=None,
    resume=None,
    **options,
):
    """Trains SemPPL on images of which a few are labelled, and measures it.

    Args:
        unlabelled: Your own images to learn from: a folder, or another source that
            `semppl train --unlabelled` takes. Goes with `labelled`.
        labelled: Those with labels: a folder for each class, or a table of path,label.
        test: Images with labels to test on.
        dataset: In the place of your own images "digits", or text that begins with
            "npz:", "tfds:" or "folder:".
        image_size: Integer, the side to which your own images are brought.
        backbone: One of `recipes.BACKBONES`, for your own images.
        labels_per_class: Integer, how many labels of each class to use, or "all".
        epochs: Passes over the unlabelled images.
        batch_size: Unlabelled images per step.
        learning_rate: Its peak.
        seed: Integer.
        out: Run folder to write.
        resume: Folder of a run to go on with; True for `out`.
        **options: `value_range`, `max_skipped`, `cache`, `checkpoint_minutes`, `trust`.

    Returns:
        The dict that `metrics.json` holds.

    Example:
        >>> metrics = train(unlabelled="photos", labelled="labels.csv", out="runs/new")
        >>> metrics["linear_accuracy"]
    """
    return _call("train", locals())


def label(
    run,
    source,
    *,
    out=None,
    min_confidence=None,
    review=None,
    review_out=None,
    move_into=None,
    move=False,
    overwrite=False,
    classifier=None,
    **options,
):
    """Labels images with the classifier of a finished run.

    Args:
        run: Run folder.
        source: Folder of images, or another source of them.
        out: The table to write: path, label, confidence, second choice, neighbours.
        min_confidence: Share from 0 to 1; less certain images are left out.
        review: Integer, for how many images a page to look through is written.
        review_out: Where it is written.
        move_into: Folder, into a folder of each class in which images are copied.
        move: Whether they are moved instead.
        overwrite: Whether files that are there already are replaced.
        classifier: Another `classifier.keras`.
        **options: `trust`: whether the run may be somebody else's.

    Returns:
        `Labels`, a named tuple: `names`, list of N texts; `images`, `(N, s, s, c)`;
        `probabilities`, `(N, C)`; `features`, `(N, F)`; `nearest`, `(N, k)` indices of
        labelled images; `skipped`, what could not be read; `given`, list of N texts,
        the class that a person has given an image. `confidences`, `(N,)`, are the
        largest probabilities.

    Example:
        >>> labels = label("runs/photos", "photos", out="guessed.csv", review=50)
        >>> labels.probabilities.argmax(axis=1)
    """
    return _call("label", locals())


def views(
    source,
    *,
    out=None,
    views=None,
    image_size=None,
    images=None,
    draws=None,
    seed=None,
    overwrite=False,
    **options,
):
    """Draws what training would see of some images of a folder.

    Args:
        source: Folder of images, or another source of them.
        out: The picture to write, a PNG file.
        views: "digits", "imagenet" or "small_images", whose views; None for those
            that `train` takes for your own images.
        image_size: Integer, as for `train`.
        images: How many images.
        draws: How often views are drawn of each.
        seed: Integer.
        overwrite: Whether a picture that is there already is replaced.
        **options: Others of the command, if there are any.

    Returns:
        `pathlib.Path` of the picture.

    Example:
        >>> views("photos", out="views.png")
    """
    return _call("views", locals())


def report(run, *, classifier=None, out=None, **options):
    """Writes one HTML page about a finished run.

    Args:
        run: Run folder.
        classifier: Another `classifier.keras`.
        out: The page to write; None for `report.html` in the run folder.
        **options: `trust`: whether the run may be somebody else's.

    Returns:
        `pathlib.Path` of the page.

    Example:
        >>> report("runs/photos")
    """
    return _call("report", locals())


def evaluate(
    runs,
    *,
    data=None,
    same_classes=False,
    labels_per_class=None,
    fine_tune=False,
    from_layer=None,
    robustness=False,
    severities=None,
    corruptions=None,
    seed=None,
    out=None,
    **options,
):
    """Measures finished runs on test images: their own, or those of other data.

    Args:
        runs: Run folder, or a list of them; several should differ in the seed alone.
        data: Another data set, as `dataset` of `train`.
        same_classes: Whether its classes are among those of the run, which is then
            tested with what it has learned.
        labels_per_class: Integer, a share such as "10%", or "all".
        fine_tune: Whether a copy of the network is trained on the labels, too.
        from_layer: Integer, the layer of the projection head to fine-tune from.
        robustness: Whether corrupted images are tested on, too.
        severities: Of the corruptions, a list of integers from 1 to 5.
        corruptions: A list of names among `evaluation.CORRUPTIONS`.
        seed: Integer.
        out: Folder to write to, in the place of the run's.
        **options: `trust`: whether the run may be somebody else's.

    Returns:
        A list of the dicts that the `evaluation.json` of each run holds.

    Example:
        >>> (evaluation,) = evaluate("runs/photos", robustness=True, severities=[1, 5])
    """
    return _call("evaluate", locals())


def finetune(
    run,
    *,
    from_layer=None,
    freeze_backbone=False,
    epochs=None,
    learning_rate=None,
    seed=None,
    out=None,
    **options,
):
    """Fine-tunes a copy of a run's network on its labelled images.

    Args:
        run: Run folder.
        from_layer: Integer, the layer of the projection head to fine-tune from.
        freeze_backbone: Whether the network stays as it is.
        epochs: Passes over the labelled images.
        learning_rate: At the beginning.
        seed: Integer.
        out: Folder to write `classifier.keras` to, in the place of the run's.
        **options: `trust`: whether the run may be somebody else's.

    Returns:
        The dict that `classifier.json` holds.

    Example:
        >>> finetune("runs/photos", epochs=30)
    """
    return _call("finetune", locals())


def distil(
    run,
    *,
    student=None,
    temperature=None,
    classifier=None,
    epochs=None,
    learning_rate=None,
    seed=None,
    out=None,
    **options,
):
    """Teaches a network what a run's classifier says of all of its images.

    Args:
        run: Run folder.
        student: "same", or one of `recipes.BACKBONES`.
        temperature: Of what the teacher says.
        classifier: Another `classifier.keras` as the teacher.
        epochs: Passes over the images.
        learning_rate: At the beginning.
        seed: Integer.
        out: Folder to write `classifier.keras` to, in the place of the run's.
        **options: `trust`: whether the run may be somebody else's.

    Returns:
        The dict that `classifier.json` holds.

    Example:
        >>> distil("runs/photos", student="small", out="runs/photos_small")
    """
    return _call("distil", locals())


def export(run, *, format, what=None, classifier=None, out=None, **options):
    """Writes a finished run so that it can be served without this package.

    Args:
        run: Run folder.
        format: "saved_model", "keras", "onnx" or "litert".
        what: "classifier", images to probabilities, or "backbone", to features.
        classifier: Another `classifier.keras`.
        out: Where to write it.
        **options: `trust`: whether the run may be somebody else's.

    Returns:
        `pathlib.Path` of what was written.

    Example:
        >>> export("runs/photos", format="onnx")
    """
    return _call("export", locals())


class _Arguments(argparse.ArgumentParser):
    """A parser that raises what is wrong, and knows its arguments by name."""

    def __init__(self, **options):
        self.arguments = {}
        super().__init__(add_help=False, **options)

    def add_argument(self, *names, **options):
        argument = super().add_argument(*names, **options)
        self.arguments[argument.dest] = argument
        return argument

    def error(self, message):
        raise ValueError(message)


def _call(command, given):
    """Runs a command with what the function of its name was given: its `locals()`."""
    keywords = {name: value for name, value in given.items() if name != "options"}
    arguments = _parsed(command, {**keywords, **given["options"]})
    try:
        with plain_output():
            return cli.load_command(command).run(arguments)
    except RunError as error:
        raise ValueError(str(error)) from error


def _parsed(command, keywords):
    """The namespace that the command line would give: with its defaults and checks."""
    parser = cli.parser_of(command, _Arguments)
    unknown = [name for name in keywords if name not in parser.arguments]
    if unknown:
        raise TypeError(
            f"The keywords of `{command}` must be among "
            f"{', '.join(parser.arguments)}. Received: {', '.join(unknown)}."
        )
    options, positional = [], []
    for name, value in keywords.items():
        argument = parser.arguments[name]
        if argument.option_strings:
            options += _option(argument, value)
        elif argument.nargs == "+" and isinstance(value, list | tuple):
            positional += [_text(name, part) for part in value]
        else:
            positional.append(_text(name, value))
    # What comes after -- is no option, whatever it begins with.
    return parser.parse_args(options + (["--", *positional] if positional else []))


def _option(argument, value):
    """An option as words of a command line."""
    name = argument.option_strings[-1]
    if value is None:
        return []
    if argument.nargs == 0 and not isinstance(value, bool):
        raise TypeError(
            f"`{argument.dest}` must be True or False. Received: {value!r}."
        )
    if argument.nargs in (0, "?") and isinstance(value, bool):
        return [name] if value else []
    if argument.type is None:
        return [f"{name}={_text(argument.dest, value)}"]
    parts = value if isinstance(value, list | tuple) else [value]
    if argument.nargs == 2:
        return [name, *(str(part) for part in parts)]
    return [f"{name}={','.join(str(part) for part in parts)}"]


def _text(name, value):
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"`{name}` must be text or a path. Received: {value!r}.")
    text = os.fsdecode(value)
    if "\0" in text:
        # No command line could hold one, and no path.
        raise ValueError(f"`{name}` must have no zero byte in it. Received: {text!r}.")
    return text
