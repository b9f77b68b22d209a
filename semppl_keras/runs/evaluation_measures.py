"""Numbers about a trained model: several classifiers, their calibration, robustness."""

import numpy as np

from semppl_keras.evaluation import (
    SEVERITIES,
    as_pixels,
    calibration_curve,
    corrupt,
    fit_probe,
    knn_probabilities,
    mean_corruption_error,
    summarize,
    top_k_accuracy,
)
from semppl_keras.runs import classifiers as classifier_training

# Wu et al. (2018), who have more than a thousand labelled images of each class.
_MOST_NEIGHBOURS = 200
_KNN_TEMPERATURE = 0.07


def measure(
    model,
    task,
    *,
    seed=0,
    fine_tune=False,
    from_layer=None,
    corruptions=(),
    severities=SEVERITIES,
):
    """Measures a trained model with several classifiers on one task.

    The classifiers, and whatever is chosen for them, see the labelled images alone.

    Args:
        model: A pre-training model of semppl_keras.
        task: `Task`.
        seed: Of cross-validation, fine-tuning and corruptions.
        fine_tune: Whether to fine-tune a copy of the network, too.
        from_layer: On what, as `FineTuner` takes it.
        corruptions: Names; with at least one robustness is measured.
        severities: Of the corruptions, out of 1 to 5.

    Returns:
        A dict that `json` can write: `rows`, by classifier its `title`, settings,
        `calibration` and what `summarize` gives; `robustness`, None where it was not
        measured: `severities`, and by classifier `errors`, `mean_error` and
        `mean_corruption_error`, in percent of that of logistic regression on the
        labelled pixels (None where a corruption leaves that without an error).
    """
    method, classes = type(model).__name__, len(task.class_names)
    shares, rows, classifiers = {}, {}, {}

    print("Logistic regression on the labelled pixels ...", flush=True)
    # Pixels share one scale already, as in `supervised_accuracy`.
    baseline = fit_probe(
        as_pixels(task.x_labelled),
        task.y_labelled,
        seed=seed,
        standardize=False,
        single_label_c=1.0,
    )
    classifiers["logistic_regression"] = lambda x: baseline.predict_proba(as_pixels(x))
    shares["logistic_regression"] = classifiers["logistic_regression"](task.x_test)
    rows["logistic_regression"] = {"title": "supervised only, logistic regression"}

    print("Features, nearest neighbours and linear probe ...", flush=True)
    labelled, test = model.embed(task.x_labelled), model.embed(task.x_test)
    if task.labels_of_run and getattr(model, "predicts_classes", False):
        shares["memory_knn"] = model.predict(task.x_test, verbose=0)
        rows["memory_knn"] = {"title": f"{method}, nearest in its memory"}
    # More neighbours than a class has images could not all be right.
    k = min(_MOST_NEIGHBOURS, max(1, len(labelled) // classes))
    shares["weighted_knn"] = knn_probabilities(
        labelled,
        task.y_labelled,
        test,
        k,
        num_classes=classes,
        temperature=_KNN_TEMPERATURE,
    )
    rows["weighted_knn"] = {
        "title": f"{method}, weighted nearest neighbours",
        "k": k,
        "temperature": _KNN_TEMPERATURE,
    }
    probe = fit_probe(labelled, task.y_labelled, seed=seed)
    classifiers["linear_probe"] = lambda x: probe.predict_proba(model.embed(x))
    shares["linear_probe"] = probe.predict_proba(test)
    rows["linear_probe"] = {"title": f"{method}, linear probe"}

    if fine_tune:
        tuner, chosen = classifier_training.fine_tune(
            model,
            task.x_labelled,
            task.y_labelled,
            classes,
            from_layer=from_layer,
            seed=seed,
        )
        classifiers["fine_tuned"] = lambda x: tuner.predict(x, verbose=0)
        shares["fine_tuned"] = classifiers["fine_tuned"](task.x_test)
        rows["fine_tuned"] = {"title": f"{method}, fine-tuned", **chosen}

    for name, row in rows.items():
        row.update(summarize(shares[name], task.y_test))
        row["calibration"] = calibration_curve(shares[name], task.y_test)
    robustness = None
    if corruptions:
        robustness = _robustness(classifiers, task, corruptions, severities, seed)
    return {"rows": rows, "robustness": robustness}


def _robustness(classifiers, task, corruptions, severities, seed):
    errors = {name: {} for name in classifiers}
    for index, corruption in enumerate(corruptions, start=1):
        print(
            f"Corrupted test images, {index} of {len(corruptions)}: {corruption} ...",
            flush=True,
        )
        for of_classifier in errors.values():
            of_classifier[corruption] = []
        for severity in severities:
            # Once for all classifiers: it can take longer than they do.
            images = corrupt(task.x_test, corruption, severity, seed)
            for name, classify in classifiers.items():
                accuracy = top_k_accuracy(classify(images), task.y_test)
                errors[name][corruption].append(1 - accuracy)
    baseline = errors["logistic_regression"]
    defined = all(sum(values) > 0 for values in baseline.values())
    return {
        "severities": list(severities),
        "errors": errors,
        "mean_error": {
            name: float(np.mean(list(of_classifier.values())))
            for name, of_classifier in errors.items()
        },
        "mean_corruption_error": {
            name: mean_corruption_error(of_classifier, baseline) if defined else None
            for name, of_classifier in errors.items()
        },
    }
