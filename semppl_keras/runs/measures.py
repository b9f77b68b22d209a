"""What a finished training is measured by, and the table of it."""

import pathlib

import keras
import numpy as np

from semppl_keras.data.names import dataset_name
from semppl_keras.evaluation import (
    as_pixels,
    cross_validated_predictions,
    fit_probe,
    supervised_accuracy,
)
from semppl_keras.runs import json_files
from semppl_keras.runs.json_files import check_entries, integer, number, read_json
from semppl_keras.runs.terminal import shown

# What metrics.json holds at least, the latter where there are test images.
_METRICS = {
    "dataset": json_files.DATASET,
    "labels_per_class": json_files.LABELS_PER_CLASS,
    "seed": integer(),
    "backend": str,
    "num_labelled": integer(),
    "num_unlabelled": integer(),
    "num_test": integer(),
    "num_skipped": integer(optional=True),
    "read_seconds": number(0),
    "train_seconds": number(0),
    "pseudo_label_accuracy": json_files.SHARE_OR_NONE,
    "pseudo_labels": json_files.Entry(dict | None, optional=True),
    "cross_validated": dict | None,
    "versions": dict,
}
_TEST_METRICS = dict.fromkeys(
    (
        "supervised_accuracy",
        "supervised_logistic_regression_accuracy",
        "supervised_network_accuracy",
        "knn_accuracy",
        "linear_accuracy",
    ),
    number(0, 1),
)
_CROSS_VALIDATED = {
    "num_labelled": integer(),
    "supervised_logistic_regression_accuracy": number(0, 1),
    "linear_accuracy": number(0, 1),
}
_PSEUDO_LABELS = {
    "num_images": integer(),
    "mean_confidence": number(0, 1.001),
    "share_by_class": dict,
}

# Unlabelled images that are asked for their pseudo-labels after training, where only
# the model can tell what they show.
_MOST_PSEUDO_LABELS = 2000


def measure(model, data, recipe, *, seed=0):
    """Measures a trained model and the supervised-only baseline on one data set.

    Without test images: by cross-validation on the labelled ones, of the classes with
    at least two. That flatters the model, whose network has trained with all of these
    labels, but not the baseline.

    Args:
        model: A trained `SemPPL`.
        data: `FewLabels` with test labels, or without test images.
        recipe: The `Recipe` it was trained by: the baseline gets its backbone.
        seed: Of the baseline and of the probe's cross-validation.

    Returns:
        metrics: Dict of `supervised_accuracy` (and the two that it is the better of),
            `knn_accuracy`, `linear_accuracy`, all on the test images and None without
            any; `cross_validated`, None or a dict of
            `supervised_logistic_regression_accuracy`, `linear_accuracy` and
            `num_labelled`; and
            `pseudo_label_accuracy` on the unlabelled images, None where no hidden label
            is known, or `pseudo_labels` in its place, None or a dict of what some of
            them are taken for.
        features: `(M, F)` backbone features of the test images, or else of the labelled
            ones.
        predictions: `(M,)` the linear probe's classes for them, or None where nothing
            could be held out.

    Example:
        >>> metrics, features, predictions = measure(model, data, recipe)
        >>> metrics["linear_accuracy"]
    """
    labelled_features = model.embed(data.x_labelled)
    known = data.y_hidden >= 0
    pseudo_label_accuracy = pseudo_labels = None
    if known.any():
        predicted, _ = model.pseudo_label(data.x_unlabelled[known])
        pseudo_label_accuracy = _share(predicted == data.y_hidden[known])
    else:
        pseudo_labels = _pseudo_labels(model, data, seed)
    metrics = {
        "supervised_accuracy": None,
        "supervised_logistic_regression_accuracy": None,
        "supervised_network_accuracy": None,
        "knn_accuracy": None,
        "linear_accuracy": None,
        "pseudo_label_accuracy": pseudo_label_accuracy,
        "pseudo_labels": pseudo_labels,
        "cross_validated": None,
    }
    if data.x_test is None:
        cross_validated, predictions = _cross_validated(labelled_features, data, seed)
        return (
            {**metrics, "cross_validated": cross_validated},
            labelled_features,
            predictions,
        )

    shares = model.predict(data.x_test, verbose=0)
    test_features = model.embed(data.x_test)
    probe = fit_probe(labelled_features, data.y_labelled, seed=seed)
    predictions = probe.predict(test_features)

    keras.utils.set_random_seed(seed)
    channels = data.x_train.shape[-1]
    # The baseline gets SemPPL's own augmentation, with a random state of its own.
    view_seed = keras.random.SeedGenerator(seed)
    supervised = supervised_accuracy(
        data.x_labelled,
        data.y_labelled,
        data.x_test,
        data.y_test,
        make_backbone=lambda: recipe.make_backbone(channels),
        augment=lambda images: model.views(images, seed=view_seed)["large"][:, 0],
        prepare=model.views.center_view,
        seed=seed,
    )
    metrics = {
        **metrics,
        "supervised_accuracy": supervised.best,
        "supervised_logistic_regression_accuracy": supervised.logistic_regression,
        "supervised_network_accuracy": supervised.network,
        "knn_accuracy": _share(np.argmax(shares, axis=-1) == data.y_test),
        "linear_accuracy": _share(predictions == data.y_test),
    }
    return metrics, test_features, predictions


def _cross_validated(features, data, seed):
    """What can be measured on the labels alone, and predictions or None."""
    labels = data.y_labelled
    counts = np.bincount(labels, minlength=data.num_classes)
    chosen = counts[labels] >= 2
    if np.sum(counts >= 2) < 2:
        return None, None
    if not chosen.all():
        # Their rows could not be held out, and the others are not to pay for it.
        features, labels = features[chosen], labels[chosen]
    predictions = np.full(len(chosen), -1)
    predictions[chosen] = cross_validated_predictions(features, labels, seed=seed)
    # As in `supervised_accuracy`.
    baseline = cross_validated_predictions(
        as_pixels(data.x_labelled[chosen]),
        labels,
        seed=seed,
        standardize=False,
        single_label_c=1.0,
    )
    measured = {
        "supervised_logistic_regression_accuracy": _share(baseline == labels),
        "linear_accuracy": _share(predictions[chosen] == labels),
        "num_labelled": int(chosen.sum()),
    }
    return measured, predictions if chosen.all() else None


def _pseudo_labels(model, data, seed):
    """What some of the unlabelled images are taken for."""
    indices = data.unlabelled_indices
    if len(indices) > _MOST_PSEUDO_LABELS:
        generator = np.random.default_rng(seed)
        indices = np.sort(generator.choice(indices, _MOST_PSEUDO_LABELS, replace=False))
    labels, confidences = model.pseudo_label(data.x_train[indices])
    counts = np.bincount(labels, minlength=data.num_classes)
    return {
        "num_images": len(indices),
        "mean_confidence": float(np.mean(confidences)),
        "share_by_class": {
            name: float(count / len(indices))
            for name, count in zip(data.class_names, counts, strict=True)
        },
    }


def read_metrics(folder):
    """What a finished run was measured by.

    Args:
        folder: `pathlib.Path`.

    Returns:
        The dict that `metrics.json` holds.

    Raises:
        RunError: The file cannot be read, or holds something else.
    """
    path = folder / "metrics.json"
    metrics = read_json(path, _METRICS)
    if isinstance(metrics["dataset"], dict):
        check_entries(path, metrics["dataset"], json_files.OWN_DATASET)
    if metrics["num_test"]:
        check_entries(path, metrics, _TEST_METRICS)
    cross_validated = metrics["cross_validated"]
    if cross_validated and "supervised_accuracy" in cross_validated:
        # Version 0.1 wrote it under the name of the better of two classifiers.
        renamed = cross_validated.pop("supervised_accuracy")
        cross_validated["supervised_logistic_regression_accuracy"] = renamed
    for name, entries in (
        ("cross_validated", _CROSS_VALIDATED),
        ("pseudo_labels", _PSEUDO_LABELS),
    ):
        if metrics.get(name) is not None:
            check_entries(path, metrics[name], entries)
    return metrics


def format_table(metrics, folder):
    """Lays out what `metrics.json` holds as the table that a run ends with.

    Args:
        metrics: The dict that `train.run` returns.
        folder: Where the run is.

    Returns:
        Several lines of text.
    """
    lines = [headline(metrics), ""]
    if metrics["num_test"]:
        regression = metrics["supervised_logistic_regression_accuracy"]
        network = metrics["supervised_network_accuracy"]
        rows = [
            (
                "supervised only, the same labels",
                metrics["supervised_accuracy"],
                f"logistic regression {regression:.1%}, network {network:.1%}",
            ),
            ("SemPPL, nearest in its memory", metrics["knn_accuracy"], ""),
            ("SemPPL, linear probe", metrics["linear_accuracy"], "frozen backbone"),
        ]
        lines.append(f"  accuracy on {metrics['num_test']:,} test images")
        lines += [_row(*row) for row in rows]
    else:
        lines += _cross_validation_lines(metrics["cross_validated"])
    lines.append(f"  pseudo-labels of {metrics['num_unlabelled']:,} unlabelled images")
    lines.append(_row("SemPPL", metrics["pseudo_label_accuracy"], ""))
    lines += _pseudo_label_lines(metrics.get("pseudo_labels"))
    if metrics.get("num_skipped"):
        lines += [
            "",
            f"Images that could not be read: {metrics['num_skipped']:,}, named in "
            f"{pathlib.Path(folder) / 'skipped.tsv'}",
        ]
    lines += [
        "",
        f"Images read in {metrics['read_seconds']:.0f} s, trained in "
        f"{metrics['train_seconds']:.0f} s. The table, the model, curves and pictures "
        f"are in {folder}",
    ]
    return "\n".join(lines)


def headline(metrics):
    """What a run is called at the head of a table or a picture.

    Args:
        metrics: The dict that `train.run` returns.

    Returns:
        A line of text.
    """
    count = metrics["labels_per_class"]
    if count == "all" and isinstance(metrics["dataset"], dict):
        labels = f"{metrics['num_labelled']:,} labels"
    else:
        labels = f"{count} label{'' if count == 1 else 's'} per class"
    name = shown(dataset_name(metrics["dataset"]))
    return f"{name}, {labels}, seed {metrics['seed']}, {metrics['backend']}"


def _cross_validation_lines(measured):
    if measured is None:
        return [
            "  accuracy not measured: there are no test images, and too few labels to "
            "hold any out"
        ]
    return [
        f"  cross-validation on {measured['num_labelled']:,} labelled images, without "
        "test images",
        _row(
            "supervised only, the same labels",
            measured["supervised_logistic_regression_accuracy"],
            "logistic regression",
        ),
        _row(
            "SemPPL, linear probe",
            measured["linear_accuracy"],
            "optimistic: the backbone knows these labels",
        ),
    ]


def _pseudo_label_lines(pseudo_labels):
    if pseudo_labels is None:
        return []
    shares = pseudo_labels["share_by_class"]
    lines = [
        f"    of {pseudo_labels['num_images']:,} of them: mean confidence "
        f"{pseudo_labels['mean_confidence']:.1%}"
    ]
    never = [name for name, share in shares.items() if share == 0]
    if never:
        more = f" and {len(never) - 3} more" if len(never) > 3 else ""
        names = ", ".join(map(repr, never[:3]))
        lines.append(
            f"    none of them is taken for {names}{more}: there may be no such image"
        )
    return lines


def _share(correct):
    return float(np.mean(correct))


def _row(what, accuracy, note):
    value = "not known" if accuracy is None else f"{accuracy:.1%}"
    return f"    {what:<34}{value:>9}" + (f"   ({note})" if note else "")
