"""What stands in each row of the tables of `accuracy.py`, and how it is measured."""

import dataclasses
import math
import tempfile
import time

import keras
import numpy as np

from semppl_keras import (
    BYOL,
    Distiller,
    FineTuner,
    ReLICv2,
    SemPPL,
    SimCLR,
    SuNCEt,
    backbones,
    data,
    recipes,
    runs,
    views,
)
from semppl_keras.evaluation import (
    as_pixels,
    fit_probe,
    fit_svm,
    hog_features,
    image_graph_accuracy,
    linear_probe,
    supervised_accuracy,
)
from semppl_keras.evaluation.pixels import PIXEL_PROBE

# What is pre-trained, and how it differs from the recipe.
METHODS = {
    "SimCLR": (SimCLR, {}),
    "BYOL": (BYOL, {}),
    "ReLICv2": (ReLICv2, {}),
    "SuNCEt": (SuNCEt, {}),
    "SemPPL-BYOL": (SemPPL, {"objective": "byol"}),
    "SemPPL": (SemPPL, {}),
}

# Recipes of consistency training.
CONSISTENCY = {
    "fixmatch": "FixMatch",
    "uda": "UDA",
    "freematch": "FreeMatch",
    "softmatch": "SoftMatch",
    "adamatch": "AdaMatch",
    "simmatch": "SimMatch",
    "iomatch": "IOMatch",
    "semi_vit": "Semi-ViT",
}
AFTER_SEMPPL = "SemPPL+"

# By "method/measure", or by the method alone that has one measure of its name.
TITLES = {
    "logistic_regression": "pixels, logistic regression",
    "svm": "pixels, support vector machine",
    "graph_pixels": "pixels, label propagation",
    "graph_hog": "HOG, label propagation",
    "supervised": "a network on the labels alone",
    "SimCLR/linear": "SimCLR, linear probe",
    "BYOL/linear": "BYOL, linear probe",
    "ReLICv2/linear": "ReLICv2, linear probe",
    "SuNCEt/linear": "SuNCEt, linear probe",
    "SimCLR/fine-tuned": "SimCLRv2, fine-tuned",
    "SimCLR/distilled": "SimCLRv2, fine-tuned and distilled",
    **{name: f"{title}, from nothing" for name, title in CONSISTENCY.items()},
    "SemPPL-BYOL/linear": "SemPPL on BYOL, linear probe",
    "SemPPL/knn": "SemPPL, nearest in its memory",
    "SemPPL/linear": "SemPPL, linear probe",
    "SemPPL/propagation": "SemPPL, label propagation on its features",
    "SemPPL/fine-tuned": "SemPPL, fine-tuned",
    "SemPPL/distilled": "SemPPL, fine-tuned and distilled",
    **{
        f"{AFTER_SEMPPL}{name}": f"SemPPL, then {title}"
        for name, title in CONSISTENCY.items()
    },
    "pipeline/patches_accuracy": "patches, a graph over them, kernel ridge regression",
    "pipeline/pipeline": "`semppl train`, the classifier that it chooses",
}
ROWS = tuple(dict.fromkeys(title.partition("/")[0] for title in TITLES))


def is_ours(title):
    """Whether a row is of SemPPL, with whatever follows it."""
    return title.startswith(("SemPPL", "pipeline/pipeline"))


@dataclasses.dataclass(frozen=True)
class Study:
    """A data set and how much of it is looked at.

    Args:
        dataset: as `semppl train --dataset` takes it.
        recipe: `Recipe`.
        labels_per_class: tuple of int, the columns.
        unlabelled: int or None, images that are trained on (drawn by seed); all
            where None.
        label_steps: int, steps of fine-tuning; more where there are so many labels
            that this would not be 15 passes.
        distil_epochs: int, passes over the unlabelled images.
        consistency_steps: int, of consistency training, at least.
        minutes: float, what `semppl train` may take.
        network: str, of `semppl_keras.backbones`, and dict of its arguments: what
            begins with nothing and is not pre-trained.
    """

    dataset: str
    recipe: recipes.Recipe
    labels_per_class: tuple
    unlabelled: int | None
    label_steps: int
    distil_epochs: int
    consistency_steps: int = 2000
    minutes: float = 10.0
    network: tuple = ("ConvNet", {})

    def with_network(self, name, **arguments):
        """The same of another network, pre-trained or not.

        Adam begins at 1e-3 there: what a small network bears is much for a large one.
        """
        kind, settings = self.recipe.optimizer
        recipe = dataclasses.replace(
            self.recipe,
            backbone=(name, arguments),
            optimizer=(kind, {**settings, "learning_rate": 1e-3}),
        )
        return dataclasses.replace(self, recipe=recipe, network=(name, arguments))

    def steps_on(self, num_labelled):
        """Steps of 64 images of what is fine-tuned on this many labelled ones."""
        return max(self.label_steps, 15 * num_labelled // 64)

    def load(self, labels_per_class, seed):
        """The data set at the recipe's size, a few of its images labelled."""
        loaded = data.load(self.dataset, labels_per_class, seed)
        if self.unlabelled is not None:
            rest = loaded.unlabelled_indices
            chosen = np.random.default_rng(seed).permutation(rest)[: self.unlabelled]
            kept = np.sort(np.concatenate([loaded.labelled_indices, chosen]))
            loaded = dataclasses.replace(
                loaded,
                x_train=loaded.x_train[kept],
                y_train=loaded.y_train[kept],
                labelled_indices=np.searchsorted(kept, loaded.labelled_indices),
            )
        if self.recipe.image_size is None:
            return loaded
        return loaded.enlarged(self.recipe.image_size)


def measured(study, name, labels_per_class, seed, kept):
    """What one row gives by measure, and the CPU seconds that it took.

    Args:
        study: `Study`.
        name: one of `ROWS`.
        labels_per_class, seed: int.
        kept: dict of what has been pre-trained with this seed, which is added to: by
            name and, where it learns from labels, by their number a model, wall seconds
            and CPU seconds.

    Returns:
        dict of float.
    """
    begun = time.process_time()
    if name == "pipeline":
        values = pipeline(study, labels_per_class, seed)
        return {**values, "cpu_seconds": _cpu_seconds(begun)}
    loaded = study.load(labels_per_class, seed)
    if name in WITHOUT_TRAINING:
        values = {name: WITHOUT_TRAINING[name](study, loaded, seed)}
    elif name == "supervised":
        values = {name: supervised(study, loaded, seed)}
    elif name in CONSISTENCY:
        values = {name: consistent(study, loaded, name, None, seed)}
    else:
        begun, values = of_pretrained(study, name, loaded, labels_per_class, seed, kept)
    return {**values, "cpu_seconds": _cpu_seconds(begun)}


def of_pretrained(study, name, loaded, labels_per_class, seed, kept):
    """What a row gives that begins with a pre-training.

    Returns:
        When it began on the processor's clock, had it trained all of it by itself; dict
        of float.
    """
    base = "SemPPL" if name.startswith(AFTER_SEMPPL) else name
    objective, changes = METHODS[base]
    key = (base, labels_per_class if objective.needs_labels else None)
    if key not in kept:
        begun = time.process_time()
        model, seconds = train(study, loaded, objective, seed, **changes)
        kept[key] = model, seconds, time.process_time() - begun
    model, seconds, cpu_seconds = kept[key]
    begun = time.process_time() - cpu_seconds
    if base != name:
        method = name.removeprefix(AFTER_SEMPPL)
        return begun, {name: consistent(study, loaded, method, model, seed)}
    values = {"linear": linear(model, loaded, seed), "seconds": seconds}
    if name == "SemPPL":
        values |= of_semppl(model, loaded)
        values["propagation"] = graph_over_features(model, loaded, seed)
    if name in ("SimCLR", "SemPPL"):
        values |= fine_tuned_and_distilled(study, model, loaded, seed)
    return begun, values


def _cpu_seconds(begun):
    return round(time.process_time() - begun, 1)


def share(predicted, labels):
    """The accuracy, rounded to what the size of the test set can tell."""
    return round(float(np.mean(predicted == labels)), 4)


# -- without training ---------------------------------------------------------------


def logistic_regression(study, loaded, seed):
    """The test accuracy of logistic regression on pixels."""
    pixels = as_pixels(loaded.x_labelled)
    probe = fit_probe(pixels, loaded.y_labelled, seed=seed, **PIXEL_PROBE)
    return share(probe.predict(as_pixels(loaded.x_test)), loaded.y_test)


def svm(study, loaded, seed):
    """The same of a support vector machine."""
    fitted = fit_svm(as_pixels(loaded.x_labelled), loaded.y_labelled, seed=seed)
    return share(fitted.predict(as_pixels(loaded.x_test)), loaded.y_test)


def graph(loaded, seed, **settings):
    """The same of labels that are propagated over some features."""
    accuracy = image_graph_accuracy(
        loaded.x_labelled,
        loaded.y_labelled,
        loaded.x_unlabelled,
        loaded.x_test,
        loaded.y_test,
        seed=seed,
        **settings,
    )
    return round(accuracy, 4)


WITHOUT_TRAINING = {
    "logistic_regression": logistic_regression,
    "svm": svm,
    "graph_pixels": lambda study, loaded, seed: graph(loaded, seed, features=as_pixels),
    "graph_hog": lambda study, loaded, seed: graph(loaded, seed, features=hog_features),
}


# -- from the labels alone ----------------------------------------------------------


def plain_network(study, loaded):
    """A new network for what begins with nothing."""
    name, arguments = study.network
    channels = loaded.x_train.shape[-1]
    return getattr(backbones, name)(input_shape=(None, None, channels), **arguments)


def supervised(study, loaded, seed):
    """The plain network on the labels alone, with mild views."""
    keras.utils.set_random_seed(seed)
    mild = views.mild_views(study.recipe.make_views())
    view_seed = keras.random.SeedGenerator(seed)
    accuracy = supervised_accuracy(
        loaded.x_labelled,
        loaded.y_labelled,
        loaded.x_test,
        loaded.y_test,
        make_backbone=lambda: plain_network(study, loaded),
        augment=lambda images: mild(images, seed=view_seed)["large"][:, 0],
        prepare=mild.center_view,
        seed=seed,
    )
    return round(accuracy.network, 4)


# -- pre-trained --------------------------------------------------------------------


def train(study, loaded, model_class, seed, **changes):
    """A trained model, and the seconds it took."""
    recipe = study.recipe
    budget = recipe.epochs * math.ceil(len(loaded.x_train) / recipe.batch_size)
    images, labelled, labelled_batch_size = loaded.x_train, None, 0
    if model_class.needs_labels:
        images, labelled = loaded.x_unlabelled, (loaded.x_labelled, loaded.y_labelled)
        labelled_batch_size = min(recipe.labelled_batch_size, len(loaded.x_labelled))
    # Unlabelled images take the place of labelled ones that there are not: every step
    # holds as many images.
    batch_size = recipe.batch_size + recipe.labelled_batch_size - labelled_batch_size
    batch_size = min(batch_size, len(images))
    steps = math.ceil(len(images) / batch_size)
    epochs = round(budget / steps)
    recipe = dataclasses.replace(
        recipe, epochs=epochs, model={**recipe.model, **changes}
    )
    keras.utils.set_random_seed(seed)
    model = recipe.make_model(
        loaded.x_train.shape[-1],
        loaded.num_classes,
        steps,
        seed=seed,
        objective=model_class,
    )
    begun = time.monotonic()
    model.fit(
        images,
        labelled,
        epochs=epochs,
        batch_size=batch_size,
        labelled_batch_size=labelled_batch_size or None,
        verbose=0,
    )
    return model, round(time.monotonic() - begun, 1)


def linear(model, loaded, seed):
    """A linear probe's accuracy on the test images."""
    features = model.embed(loaded.x_labelled)
    probe = linear_probe(features, loaded.y_labelled, seed=seed)
    return share(probe.predict(model.embed(loaded.x_test)), loaded.y_test)


def graph_over_features(model, loaded, seed):
    """The accuracy of labels that are propagated over a model's features."""
    return graph(
        loaded,
        seed,
        features=lambda images: model.embed(images, verbose=0),
        dimensions=None,
        power=3.0,
    )


def of_semppl(model, loaded):
    """What SemPPL's own memory says of test and of unlabelled images."""
    pseudo_labels, _ = model.pseudo_label(loaded.x_unlabelled)
    hidden = loaded.y_train[loaded.unlabelled_indices]
    shares = model.predict(loaded.x_test, verbose=0)
    return {
        "knn": share(shares.argmax(axis=1), loaded.y_test),
        "pseudo": share(pseudo_labels, hidden),
    }


def fine_tuned_and_distilled(study, model, loaded, seed):
    """The second and third step of SimCLRv2; their accuracies on the test images."""
    batch_size = min(64, len(loaded.x_labelled))
    tuner = FineTuner(model, loaded.num_classes, seed=seed)
    steps = study.steps_on(len(loaded.x_labelled))
    tuner.compile(decayed_adam(steps))
    tuner.fit(
        loaded.x_labelled,
        loaded.y_labelled,
        epochs=math.ceil(steps / math.ceil(len(loaded.x_labelled) / batch_size)),
        batch_size=batch_size,
        verbose=0,
    )
    tuned = tuner.predict(loaded.x_test, verbose=0).argmax(axis=1)

    student = Distiller(tuner, tuner, seed=seed)
    steps = math.ceil(len(loaded.x_unlabelled) / 128)
    student.compile(decayed_adam(study.distil_epochs * steps))
    student.fit(
        loaded.x_unlabelled, epochs=study.distil_epochs, batch_size=128, verbose=0
    )
    distilled = student.predict(loaded.x_test, verbose=0).argmax(axis=1)
    return {
        "fine-tuned": share(tuned, loaded.y_test),
        "distilled": share(distilled, loaded.y_test),
    }


def decayed_adam(steps):
    """Adam from 1e-3 down to 0 along a cosine."""
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps))


# -- consistency training, and all of it --------------------------------------------


def consistent(study, loaded, method, start, seed):
    """The test accuracy of a consistency training.

    Args:
        method: one of `CONSISTENCY`.
        start: a pre-trained model, or None for a new network.
    """
    keras.utils.set_random_seed(seed)
    recipe = recipes.consistency(method, study.consistency_steps)
    trainer = recipe.make_trainer(
        plain_network(study, loaded) if start is None else start,
        loaded.num_classes,
        views=views.mild_views(study.recipe.make_views()),
        seed=seed,
    )
    unlabelled, labelled = loaded.x_unlabelled, loaded.x_labelled
    batch_size = min(recipe.batch_size, len(unlabelled))
    epochs = recipe.epochs_of(len(unlabelled))
    trainer.compile(
        recipe.make_optimizer(epochs * math.ceil(len(unlabelled) / batch_size))
    )
    trainer.fit(
        unlabelled,
        (labelled, loaded.y_labelled),
        epochs=epochs,
        batch_size=batch_size,
        labelled_batch_size=min(recipe.labelled_batch_size, len(labelled)),
        verbose=0,
    )
    predicted = trainer.classifier.predict(loaded.x_test, verbose=0).argmax(axis=1)
    return share(predicted, loaded.y_test)


def pipeline(study, labels_per_class, seed):
    """What `semppl train` gives within its minutes, on all unlabelled images."""
    with tempfile.TemporaryDirectory() as folder:
        run = runs.train(
            dataset=study.dataset,
            labels_per_class=labels_per_class,
            seed=seed,
            minutes=study.minutes,
            out=f"{folder}/run",
        )
    accuracies = {
        name: round(value, 4)
        for name, value in run.items()
        if name.endswith("_accuracy") and value is not None
    }
    return {
        **accuracies,
        "pipeline": round(run["classifier_accuracy"], 4),
        "classifier": run["classifier"],
        "seconds": run["seconds"],
    }
