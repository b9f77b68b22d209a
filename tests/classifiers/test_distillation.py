"""Fine-tuning and distillation: losses, steps, what must not move, saving, errors."""

import keras
import numpy as np
import pytest
from keras import layers
from toy_classifiers import (
    Batches,
    Oracle,
    dense_backbone,
    linear_teacher,
    maps,
    numpy,
    plain_views,
    softmax64,
)
from toys import (
    assert_same_weights,
    one_everywhere,
    toy_backbone,
    toy_images,
    toy_model,
    toy_views,
    weights_of,
)

import semppl_keras
from semppl_keras import Distiller, FineTuner, SimCLR
from semppl_keras.distillation import (
    ImageClassifier,
    cross_entropy,
    distillation_loss,
    soften,
)
from semppl_keras.losses import classification as objectives

IMAGES, LABELS = toy_images(60)
BACKEND = keras.backend.backend()
# XLA takes TensorFlow longer to compile these few steps than it saves; that both
# ways give the same is the oracle's test. JAX without it runs step by step.
QUICK = {"jit_compile": BACKEND == "jax"}


@pytest.fixture(scope="module")
def pretrained():
    """A SemPPL toy, trained for a moment, and its weights then."""
    keras.utils.set_random_seed(0)
    model = toy_model(compile_arguments=QUICK)
    model.fit(
        IMAGES,
        (IMAGES[:12], LABELS[:12]),
        batch_size=24,
        labelled_batch_size=6,
        verbose=0,
    )
    return model, weights_of(model)


@pytest.fixture(scope="module")
def tuned(pretrained):
    """Fine-tuned on the labels of 24 images."""
    keras.utils.set_random_seed(0)
    tuner = FineTuner(pretrained[0], 3, seed=0)
    tuner.compile(keras.optimizers.Adam(1e-2), **QUICK)
    history = tuner.fit(
        IMAGES[:24], LABELS[:24], epochs=30, validation_data=(IMAGES, LABELS), verbose=0
    )
    return tuner, history.history


# -- losses -------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.1, 1.0, 3.0])
def test_distillation_loss_is_equation_2(temperature):
    rng = np.random.default_rng(0)
    teacher, student = rng.normal(size=(2, 5, 4)) * 3
    expected = 0.0
    for t, s in zip(teacher, student, strict=True):
        p, q = softmax64(t / temperature), softmax64(s / temperature)
        expected -= sum(p[y] * np.log(q[y]) for y in range(4)) / 5
    loss = float(distillation_loss(teacher, student, temperature))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    # Probabilities say as much as logits do, and constants say nothing.
    logarithms = objectives.log_of(softmax64(teacher))
    shifted = student + rng.normal(size=(5, 1))
    again = float(distillation_loss(logarithms, shifted, temperature))
    np.testing.assert_allclose(again, expected, rtol=1e-4)
    # The student cannot do better than to agree.
    p = softmax64(teacher / temperature)
    entropy = -np.mean(np.sum(p * np.log(p), axis=-1))
    least = float(distillation_loss(teacher, teacher, temperature))
    np.testing.assert_allclose(least, entropy, rtol=1e-4, atol=1e-6)
    assert loss > least


def test_cross_entropy_and_soften():
    logits = np.random.default_rng(1).normal(size=(6, 3)) * 4
    targets = softmax64(np.random.default_rng(2).normal(size=(6, 3)))
    expected = [
        -sum(t[y] * np.log(softmax64(row)[y]) for y in range(3))
        for t, row in zip(targets, logits, strict=True)
    ]
    np.testing.assert_allclose(
        numpy(cross_entropy(targets, logits)), expected, rtol=1e-5
    )
    np.testing.assert_allclose(
        numpy(soften(logits, 2.0)), softmax64(logits / 2), rtol=1e-5
    )
    # Votes that nobody got are finite, and as good as impossible.
    certain = numpy(soften(objectives.log_of(np.array([[1.0, 0.0]])), 0.1))
    np.testing.assert_array_equal(certain, [[1.0, 0.0]])


# -- one step -----------------------------------------------------------------


@pytest.mark.parametrize(
    "jit_compile", [False, True] if BACKEND == "tensorflow" else ["auto"]
)
def test_three_steps_of_fine_tuning_equal_the_oracle(jit_compile):
    images, labels = toy_images(6, size=3)
    tuner = FineTuner(
        dense_backbone(), 3, views=plain_views(), label_smoothing=0.1, seed=0
    )
    tuner.compile(keras.optimizers.SGD(0.5), jit_compile=jit_compile)
    oracle = Oracle(tuner.classifier, 0.5)
    history = tuner.fit(images, labels, epochs=3, verbose=0).history
    x = images.reshape(6, -1).astype("float64") / 255
    targets = 0.9 * np.eye(3)[labels] + 0.1 / 3
    losses, accuracies = [], []
    for _ in range(3):
        p = softmax64(oracle.logits(x))
        losses.append(-np.mean(np.sum(targets * np.log(p), axis=1)))
        accuracies.append(np.mean(p.argmax(1) == labels))
        oracle.step(x, (p - targets) / 6)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-5)
    np.testing.assert_allclose(history["accuracy"], accuracies, rtol=1e-5)
    oracle.assert_equal(tuner.classifier)
    assert int(tuner.step) == 3


def weighted_loss(classifier, images, labels, weights):
    """As Keras has it: divided by the number of images."""
    x = images.reshape(len(images), -1).astype("float64") / 255
    p = softmax64(Oracle(classifier, 0).logits(x))
    return np.sum(weights * -np.log(p[np.arange(len(labels)), labels])) / len(labels)


def test_steps_with_weights_equal_the_oracle():
    images, labels = toy_images(6, size=3)
    own = np.array([0.5, 0, 2, 1, 3, 0.25])
    weights = own * np.array([1, 4, 0.5])[labels]
    tuner = FineTuner(dense_backbone(), 3, views=plain_views(), seed=0)
    tuner.compile(
        keras.optimizers.SGD(0.5),
        weighted_metrics=["sparse_categorical_crossentropy"],
        **QUICK,
    )
    oracle = Oracle(tuner.classifier, 0.5)
    history = tuner.fit(
        images,
        labels,
        sample_weight=own,
        class_weight={1: 4, 2: 0.5},
        epochs=2,
        validation_data=(images, labels, own),
        verbose=0,
    ).history
    x = images.reshape(6, -1).astype("float64") / 255
    losses, accuracies, means = [], [], []
    for _ in range(2):
        p = softmax64(oracle.logits(x))
        each = -np.log(p[np.arange(6), labels])
        losses.append(np.sum(weights * each) / 6)
        means.append(np.sum(weights * each) / np.sum(weights))
        accuracies.append(np.mean(p.argmax(1) == labels))
        oracle.step(x, weights[:, None] * (p - np.eye(3)[labels]) / 6)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-5)
    # `metrics` are of images alike, `weighted_metrics` of weighted ones.
    np.testing.assert_allclose(history["accuracy"], accuracies, rtol=1e-5)
    np.testing.assert_allclose(
        history["sparse_categorical_crossentropy"], means, rtol=1e-5
    )
    oracle.assert_equal(tuner.classifier)
    # Weights of classes are for training alone.
    expected = weighted_loss(tuner.classifier, images, labels, own)
    assert history["val_loss"][-1] == pytest.approx(expected, rel=1e-5)
    tuner.compile("sgd", metrics=None)
    evaluated = tuner.evaluate(images, labels, sample_weight=own, verbose=0)
    assert evaluated == pytest.approx(expected, rel=1e-5)


@pytest.mark.any_backend
def test_weights_come_with_arrays_and_datasets():
    images, labels = toy_images(12, size=3)
    labels = np.minimum(labels, 1)
    labels[:2] = 2
    own = np.random.default_rng(0).uniform(0, 3, 12).astype("float32")
    tuner = FineTuner(dense_backbone(), 3, views=plain_views(), seed=0)
    tuner.compile(keras.optimizers.SGD(0.0), **QUICK)
    parts = (images, labels, own)
    forms = {
        "arrays": parts,
        "PyDataset": Batches(*parts),
        "batches": [tuple(part[i : i + 4] for part in parts) for i in (0, 4, 8)],
        "dicts": [
            {"image": images[i : i + 4], "label": labels[i : i + 4], "weight": w}
            for i, w in ((0, own[:4]), (4, own[4:8]), (8, own[8:]))
        ],
    }
    if BACKEND == "tensorflow":
        import tensorflow as tf

        forms["tf.data"] = tf.data.Dataset.from_tensor_slices(parts).batch(4)
        forms["tf.data unbatched"] = tf.data.Dataset.from_tensor_slices(parts)
    if BACKEND == "torch":
        import torch

        tensors = torch.utils.data.TensorDataset(*map(torch.from_numpy, parts))
        forms["DataLoader"] = torch.utils.data.DataLoader(tensors, 4)
    counts = np.bincount(labels)
    balanced = (12 / (3 * counts))[labels]
    for class_weight, weights in ((None, own), ("balanced", own * balanced)):
        expected = weighted_loss(tuner.classifier, images, labels, weights)
        for form, data in forms.items():
            history = tuner.fit(
                data, class_weight=class_weight, batch_size=4, verbose=0
            ).history
            assert history["loss"][0] == pytest.approx(expected, rel=1e-5), form
    expected = weighted_loss(tuner.classifier, images, labels, own)
    for form in ("PyDataset", "tf.data", "DataLoader"):
        if form in forms:
            loss, _ = tuner.evaluate(forms[form], verbose=0)
            assert loss == pytest.approx(expected, rel=1e-5), form


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_weight": "even"}, "`class_weight` must be a dict.*'even'"),
        ({"class_weight": [1, 2, 3]}, "`class_weight` must be a dict"),
        ({"class_weight": {3: 1.0}}, "`class_weight`.*from 0 to 2.*3: 1.0"),
        ({"class_weight": {"cat": 1.0}}, "`class_weight`.*'cat'"),
        ({"class_weight": {0: -1.0}}, "`class_weight`.*0: -1.0"),
        ({"class_weight": {0: float("nan")}}, "`class_weight`.*0: nan"),
        ({"class_weight": {0: 0, 1: 0, 2: 0}}, "above 0 for some class.*all 3"),
        ({"sample_weight": np.zeros(12)}, "weights that are 0 for all 12"),
        ({"sample_weight": np.ones(5)}, "`sample_weight`.*one weight.*12 images"),
        ({"sample_weight": np.full(12, -1)}, "`sample_weight`.*Received: -1"),
        ({"sample_weight": np.full(12, np.inf)}, "`sample_weight`.*Received: inf"),
        ({"sample_weight": ["a"] * 12}, "`sample_weight`.*one weight"),
    ],
)
def test_bad_weights_are_named(arguments, message):
    tuner = FineTuner(toy_backbone(), 3, views=plain_views(size=8))
    tuner.compile("sgd", **QUICK)
    with pytest.raises(ValueError, match=message):
        tuner.fit(IMAGES[:12], LABELS[:12], **arguments)
    batches = [(IMAGES[:12], LABELS[:12])]
    with pytest.raises(ValueError, match="`sample_weight` is for images as an array"):
        tuner.fit(batches, sample_weight=np.ones(12))
    with pytest.raises(ValueError, match="`x` must hold one weight"):
        tuner.fit([(*batches[0], np.full(12, np.nan))])


@pytest.mark.any_backend
def test_unknown_labels_amid_a_dataset_are_refused():
    tuner = FineTuner(toy_backbone(), 3, views=plain_views(size=8))
    tuner.compile("sgd", **QUICK)
    labels = LABELS[:12].copy()
    labels[9] = -1
    with pytest.raises(ValueError, match="`x` must hold integer labels from 0 to 2"):
        tuner.fit(Batches(IMAGES[:12], labels), verbose=0)


@one_everywhere("outputs", ["probabilities", "logits"])
def test_three_steps_of_distillation_equal_the_oracle(outputs):
    images, labels = toy_images(9, size=3)
    teacher, teach = linear_teacher(outputs)
    student = Distiller(
        dense_backbone(),
        teacher,
        temperature=2.0,
        distillation_weight=0.7,
        teacher_outputs=outputs,
        # The teacher's images are in [0, 255] whatever the student's range.
        views=plain_views(output_range=(-1, 1)),
        seed=0,
    )
    student.compile(keras.optimizers.SGD(0.5), **QUICK)
    oracle = Oracle(student.classifier, 0.5)
    history = student.fit(
        images[:6], (images[6:], labels[6:]), labelled_batch_size=3, epochs=3, verbose=0
    ).history
    x = images.reshape(9, -1).astype("float64") / 255
    p, targets = softmax64(teach(x[:6]) / 2), np.eye(3)[labels[6:]]
    expected = {"distillation": [], "supervised": [], "teacher_agreement": []}
    for _ in range(3):
        logits = oracle.logits(2 * x - 1)
        q, r = softmax64(logits[:6] / 2), softmax64(logits[6:])
        expected["distillation"].append(-np.mean(np.sum(p * np.log(q), axis=1)))
        expected["supervised"].append(-np.mean(np.sum(targets * np.log(r), axis=1)))
        expected["teacher_agreement"].append(np.mean(p.argmax(1) == q.argmax(1)))
        slope = np.concatenate([0.7 * (q - p) / 2 / 6, 0.3 * (r - targets) / 3])
        oracle.step(2 * x - 1, slope)
    expected["loss"] = 0.7 * np.array(expected["distillation"]) + 0.3 * np.array(
        expected["supervised"]
    )
    assert set(history) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)
    oracle.assert_equal(student.classifier)


def test_penalties_of_the_backbone_count():
    backbone = dense_backbone(kernel_regularizer=keras.regularizers.L2(0.1))
    tuner = FineTuner(backbone, 3, views=plain_views(), seed=0)
    tuner.compile(keras.optimizers.SGD(0.0), **QUICK)
    images, labels = toy_images(6, size=3)
    loss = tuner.fit(images, labels, verbose=0).history["loss"][0]
    p = tuner.predict(images, verbose=0)[np.arange(6), labels]
    penalty = 0.1 * np.sum(backbone.get_weights()[0] ** 2)
    np.testing.assert_allclose(loss, penalty - np.mean(np.log(p)), rtol=1e-5)
    evaluated = tuner.evaluate(images, labels, verbose=0, return_dict=True)
    np.testing.assert_allclose(evaluated["loss"], loss, rtol=1e-5)


# -- what moves and what does not ---------------------------------------------


def test_fine_tuning_learns_and_leaves_the_pretrained_model_alone(pretrained, tuned):
    model, before = pretrained
    tuner, history = tuned
    assert_same_weights(before, weights_of(model))
    assert {id(v) for v in tuner.variables}.isdisjoint(id(v) for v in model.variables)
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history["val_accuracy"][-1] > 0.8
    probabilities = tuner.predict(IMAGES, verbose=0)
    assert probabilities.shape == (60, 3)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    results = tuner.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)
    np.testing.assert_allclose(
        results["accuracy"], np.mean(probabilities.argmax(1) == LABELS), rtol=1e-5
    )
    np.testing.assert_allclose(
        results["loss"],
        -np.mean(np.log(probabilities[np.arange(60), LABELS])),
        rtol=1e-4,
    )
    # Images of any size are taken, and of whole numbers.
    assert tuner.predict(np.zeros((2, 20, 30, 1), "uint8"), verbose=0).shape == (2, 3)


def test_a_frozen_backbone_stays():
    backbone = keras.Sequential([toy_backbone(), layers.Dropout(0.5)])
    tuner = FineTuner(backbone, 3, views=toy_views(), freeze_backbone=True)
    assert [v.name for v in tuner.trainable_variables] == ["kernel", "bias"]
    tuner.compile("sgd", **QUICK)
    tuner.fit(IMAGES[:12], LABELS[:12], verbose=0)
    for old, new in zip(backbone.weights, tuner.backbone.weights, strict=True):
        np.testing.assert_array_equal(numpy(old), numpy(new))
    assert np.abs(numpy(tuner.classifier.head.weights[1])).max() > 0
    # Its dropout rests, too.
    views = tuner.make_views((IMAGES[:4],))["view"]
    first, second = (tuner.classifier.logits(views, training=True) for _ in range(2))
    np.testing.assert_array_equal(numpy(first), numpy(second))
    # Whoever trains on may let it go again.
    assert len(FineTuner(tuner, 3).trainable_variables) == 6


def test_the_teacher_stays_and_the_student_follows(tuned):
    teacher = tuned[0]
    before, trainable = weights_of(teacher), len(teacher.trainable_variables)
    backbone = toy_backbone(features=5)
    untouched = weights_of(backbone)
    student = Distiller(backbone, teacher, seed=0)
    assert len(student.trainable_variables) == len(backbone.trainable_variables) + 2
    assert len(student.trainable_weights) == len(student.trainable_variables)
    count = len(student.variables)
    assert len(student.non_trainable_variables) == count - 6
    student.compile(keras.optimizers.Adam(2e-2), **QUICK)
    # Labels that come with the images are not looked at.
    history = student.fit(
        (IMAGES, np.full(60, 99)),
        epochs=30,
        validation_data=(IMAGES, LABELS),
        verbose=0,
    ).history
    assert_same_weights(before, weights_of(teacher))
    assert_same_weights(untouched, weights_of(backbone))
    assert len(teacher.trainable_variables) == trainable
    assert history["distillation"][-1] < history["distillation"][0]
    assert history["teacher_agreement"][-1] > 0.5
    assert history["val_accuracy"][-1] > 0.5
    assert set(history) == {
        "loss",
        "distillation",
        "teacher_agreement",
        "val_loss",
        "val_accuracy",
    }


@pytest.mark.any_backend
def test_the_teacher_sees_the_image_where_it_is_to(tuned):
    images, _ = toy_images(6, size=12)
    tuner, _ = tuned
    student = Distiller(toy_backbone(), tuner, teacher_sees="image", seed=0)
    made = student.make_views((keras.ops.convert_to_tensor(images),))
    expected = tuner.predict(images, verbose=0)
    taught = keras.ops.convert_to_numpy(keras.ops.exp(made["teacher"]))
    np.testing.assert_allclose(taught, expected, atol=1e-5)
    with pytest.raises(ValueError, match="`teacher_sees` must be one of"):
        Distiller(toy_backbone(), tuner, teacher_sees="both")


@pytest.mark.any_backend
def test_three_lines_from_images_to_a_student(pretrained):
    tuner = FineTuner(pretrained[0], 3)
    tuner.compile("adam", **QUICK)
    tuner.fit(IMAGES[:12], LABELS[:12], verbose=0)
    student = Distiller(pretrained[0], tuner)
    student.compile("adam", **QUICK)
    student.fit(IMAGES, batch_size=30, verbose=0)
    assert student.predict(IMAGES, verbose=0).shape == (60, 3)


def test_a_pretrained_model_teaches_by_the_votes_of_its_memory(pretrained, tmp_path):
    model, before = pretrained
    student = Distiller(toy_backbone(), model, seed=0)
    views = student.make_views((IMAGES,))
    votes = model(numpy(views["view"]) * 255)
    np.testing.assert_allclose(
        softmax64(numpy(views["teacher"]).astype("float64")), numpy(votes), atol=1e-3
    )
    student.compile("adam", **QUICK)
    student.fit(IMAGES, batch_size=30, verbose=0)
    assert_same_weights(before, weights_of(model))
    # It is saved with the student, its memory too, and how it was trained is not.
    student.save(tmp_path / "student.keras")
    loaded = keras.models.load_model(tmp_path / "student.keras")
    assert_same_weights(weights_of(student), weights_of(loaded))
    assert not loaded.teacher.compiled


# -- where it starts from -----------------------------------------------------


@pytest.mark.any_backend
def test_from_layer_says_where_the_linear_layer_goes():
    model = SimCLR(toy_backbone(), views=toy_views(), hidden_dim=16, projection_dim=4)
    views = numpy(model.views.center_view(IMAGES[:5]))
    features = model.backbone(views)
    projector = model.online.heads[0]
    for from_layer, width in (
        (0, 8),
        ("backbone", 8),
        (1, 16),
        ("hidden", 16),
        (2, 16),
    ):
        tuner = FineTuner(model, 3, from_layer=from_layer)
        head = tuner.classifier.head
        assert head.layers[-1].kernel.shape == (width, 3)
        expected = features
        for layer in projector.layers[
            : 3 * {"backbone": 0, "hidden": 1}.get(from_layer, from_layer)
        ]:
            expected = layer(expected)
        hidden = tuner.backbone(views)
        for layer in head.layers[:-1]:
            hidden = layer(hidden)
        np.testing.assert_allclose(numpy(hidden), numpy(expected), atol=1e-6)
        assert tuner.classifier.logits(views).shape == (5, 3)
    # Without a word, the middle of the head, or the features where there is none.
    assert FineTuner(model, 3).classifier.head.layers[-1].kernel.shape == (16, 3)
    bare = FineTuner(model.backbone, 3, views="digits")
    assert bare.classifier.head.layers[-1].kernel.shape == (8, 3)
    with pytest.raises(ValueError, match="`from_layer` must be at most 2.*=3"):
        FineTuner(model, 3, from_layer=3)


def test_views_are_crop_and_flip_unless_given(pretrained):
    views = FineTuner(pretrained[0], 3).views
    assert (views.num_large, views.num_small, views.large_size) == (1, 0, 8)
    assert views.large_area == pretrained[0].views.large_area
    assert views.flip == 0.5
    assert (views.color_jitter, views.grayscale) == (0, 0)
    assert views.blur == views.solarize == (0, 0)
    given = FineTuner(pretrained[0], 3, views=toy_views(large_size=6)).views
    assert (given.large_size, given.color_jitter, given.num_large) == (6, 0.8, 1)
    assert FineTuner(toy_backbone(), 3, views="digits").views.color_jitter == 0
    # A model that was trained with saliency masks is fine-tuned without.
    masked = toy_model(views=toy_views(background_removal=0.5))
    assert FineTuner(masked, 3).predict(IMAGES, verbose=0).shape == (60, 3)


def test_feature_maps_are_averaged():
    backbone = maps()
    tuner = FineTuner(backbone, 2, views=plain_views(size=8))
    features = numpy(backbone(IMAGES[:3] / 255)).mean(axis=(1, 2))
    kernel, bias = (numpy(w) for w in tuner.classifier.head.weights)
    np.testing.assert_allclose(
        tuner.predict(IMAGES[:3], verbose=0),
        softmax64(features @ kernel + bias),
        rtol=1e-4,
    )


# -- data ---------------------------------------------------------------------


@pytest.mark.any_backend
def test_arrays_datasets_and_one_hot_labels():
    tuner = FineTuner(toy_backbone(), 3, views=plain_views(size=8))
    tuner.compile(keras.optimizers.SGD(0.0), **QUICK)

    def train(*data, **arguments):
        return tuner.fit(*data, verbose=0, **arguments).history["loss"]

    images, labels = IMAGES[:12], LABELS[:12]
    one_hot = np.eye(3, dtype="float32")[labels]
    datasets = {
        "PyDataset": (Batches(images, labels),),
        "batches": ([(images[i : i + 4], one_hot[i : i + 4]) for i in (0, 4, 8)],),
    }
    if BACKEND == "tensorflow":
        import tensorflow as tf

        dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)
        datasets["tf.data"] = (dataset,)
    if BACKEND == "torch":
        import torch

        dataset = torch.utils.data.TensorDataset(
            torch.from_numpy(images), torch.from_numpy(labels)
        )
        datasets["DataLoader"] = (torch.utils.data.DataLoader(dataset, 4),)
    losses = [train(*data) for data in datasets.values()]
    np.testing.assert_allclose(losses, [losses[0]] * len(losses), rtol=1e-5)
    # Arrays come in an order of their own: whole, they do not differ.
    whole = train(images, labels.tolist(), batch_size=12)
    np.testing.assert_allclose(train(images, one_hot), whole, rtol=1e-5)
    assert np.isfinite(train((images, labels), batch_size=5)).all()


def test_distillation_from_a_dataset():
    teacher, _ = linear_teacher("probabilities")
    images, labels = toy_images(12, size=3)
    student = Distiller(dense_backbone(), teacher, views=plain_views(), seed=0)
    student.compile(keras.optimizers.SGD(0.0), **QUICK)
    losses = [
        student.fit(data, batch_size=4, verbose=0).history["loss"]
        for data in (images, Batches(images), Batches(images, labels - 7))
    ]
    np.testing.assert_allclose(losses, [losses[0]] * 3, rtol=1e-5)
    evaluated = student.evaluate(Batches(images, labels), verbose=0)
    np.testing.assert_allclose(
        evaluated, student.evaluate(images, labels, verbose=0), rtol=1e-5
    )


@pytest.mark.parametrize("form", ["array", "batches"])
def test_a_classifier_by_itself_refuses_images_of_another_range(form, tuned):
    classifier = FineTuner(tuned[0], 3).classifier
    images = IMAGES / 255 if form == "array" else Batches(IMAGES / 255, LABELS)
    labels = (LABELS,) if form == "array" else ()
    classifier.compile(loss="sparse_categorical_crossentropy")
    for call in (
        lambda: classifier.predict(images, verbose=0),
        lambda: classifier.evaluate(images, *labels, verbose=0),
        lambda: classifier.fit(images, *labels, verbose=0),
        lambda: tuned[0].predict(images, verbose=0),
    ):
        with pytest.raises(ValueError, match=r"`x` must lie in \[0, 255\].*by 255"):
            call()
    np.testing.assert_allclose(
        classifier.predict(Batches(IMAGES, LABELS), verbose=0),
        classifier.predict(IMAGES[:12], verbose=0),
        atol=1e-6,
    )


@pytest.mark.any_backend
def test_students_and_tuners_refuse_images_of_another_range(tuned):
    tuner, _ = tuned
    student = Distiller(tuner, tuner)
    student.compile("sgd", **QUICK)
    scaled = Batches(IMAGES / 255, LABELS)
    with pytest.raises(ValueError, match=r"`x` must lie.*looks like \[0, 1\]"):
        tuner.fit(scaled)
    with pytest.raises(ValueError, match=r"`unlabelled` must lie.*looks like \[0, 1\]"):
        student.fit(scaled)
    with pytest.raises(ValueError, match=r"`validation_data` must lie.*like \[0, 1\]"):
        student.fit(IMAGES, validation_data=scaled)


# -- saving -------------------------------------------------------------------


def make_tuner():
    backbone = keras.Sequential([toy_backbone(), layers.Dropout(0.2, seed=1)])
    return FineTuner(backbone, 3, views=toy_views(), seed=5)


def make_student():
    teacher = FineTuner(toy_backbone(), 3, views=toy_views(), seed=6)
    teacher.compile("adam", **QUICK)
    return Distiller(toy_backbone(features=6), teacher, seed=7)


@one_everywhere("make", [make_student, make_tuner])
def test_a_saved_model_goes_on_as_if_uninterrupted(make, tmp_path):
    model = make()
    model.compile(keras.optimizers.Adam(1e-2), **QUICK)
    data = (IMAGES, LABELS) if make is make_tuner else (IMAGES,)
    arguments = {"batch_size": 24, "verbose": 0}
    model.fit(*data, epochs=1, **arguments)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_same_weights(weights_of(model), weights_of(loaded))
    np.testing.assert_array_equal(
        model.predict(IMAGES, verbose=0), loaded.predict(IMAGES, verbose=0)
    )
    assert model.evaluate(IMAGES, LABELS, verbose=0) == loaded.evaluate(
        IMAGES, LABELS, verbose=0
    )
    own, other = model.get_config(), loaded.get_config()
    for name in own.keys() - {"model", "student", "teacher"}:
        assert own[name] == other[name], name
    for each in (model, loaded):
        each.fit(*data, epochs=2, initial_epoch=1, **arguments)
    tolerance = {} if BACKEND != "torch" else {"rtol": 1e-4, "atol": 1e-6}
    assert_same_weights(weights_of(model), weights_of(loaded), **tolerance)
    assert int(loaded.step) == 6


@pytest.mark.any_backend
def test_the_classifier_is_a_model_by_itself(tuned, tmp_path):
    tuner = tuned[0]
    tuner.classifier.save(tmp_path / "classifier.keras")
    loaded = keras.models.load_model(tmp_path / "classifier.keras")
    assert isinstance(loaded, ImageClassifier)
    expected = tuner.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(loaded.predict(IMAGES, verbose=0), expected, atol=1e-6)
    # Fine-tuning goes on from it, and it teaches.
    again = FineTuner(loaded, 3)
    np.testing.assert_allclose(again.predict(IMAGES, verbose=0), expected, atol=1e-6)
    assert Distiller(loaded, loaded).num_classes == 3
    if BACKEND != "torch":
        import tensorflow as tf

        loaded.export(tmp_path / "saved", verbose=False)
        served = tf.saved_model.load(tmp_path / "saved")
        np.testing.assert_allclose(
            served.serve(tf.constant(IMAGES[:5])).numpy(), expected[:5], atol=1e-5
        )


def test_the_same_seed_gives_the_same_result_and_another_one_does_not(pretrained):
    def train(seed):
        keras.utils.set_random_seed(np.random.SeedSequence().entropy % 2**32)
        tuner = FineTuner(pretrained[0], 3, seed=seed)
        tuner.compile("sgd", **QUICK)
        tuner.fit(IMAGES[:12], LABELS[:12], batch_size=6, verbose=0)
        return [numpy(v) for v in tuner.trainable_variables]

    first, second, other = train(4), train(4), train(5)
    for one, same in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, same)
    assert any(np.abs(a - b).max() > 0 for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(
    "policy",
    ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)],
)
def test_mixed_precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        tuner = FineTuner(toy_backbone(), 3, views=toy_views())
        student = Distiller(toy_backbone(), tuner)
        for model, data in ((tuner, (IMAGES, LABELS)), (student, (IMAGES,))):
            model.compile("adam")
            history = model.fit(*data, batch_size=30, verbose=0).history
            assert np.isfinite(history["loss"]).all()
            assert model.backbone.compute_dtype == policy.removeprefix("mixed_")
            assert model.predict(IMAGES, verbose=0).dtype == np.float32
            logits = model.classifier.logits(numpy(model.views.center_view(IMAGES)))
            assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    finally:
        keras.config.set_dtype_policy(before)


def test_the_step_is_traced_once():
    tuner = FineTuner(toy_backbone(), 3, views=toy_views())
    for model, data in (
        (tuner, (IMAGES, LABELS)),
        (Distiller(toy_backbone(), tuner), (IMAGES,)),
    ):
        model.compile("sgd", **QUICK)
        made = []
        make_views = model.make_views

        def counting(images, made=made, make_views=make_views):
            made.append(len(images))
            return make_views(images)

        model.make_views = counting
        model.fit(*data, epochs=2, batch_size=30, verbose=0)
        # On torch nothing is traced: every step makes its views.
        assert len(made) == (4 if BACKEND == "torch" else 1)


# -- errors -------------------------------------------------------------------


@pytest.mark.any_backend
def test_what_does_not_fit_is_named(pretrained):
    for make, message in (
        (lambda m: FineTuner("resnet", 3), "`model` must be.*str"),
        (lambda m: FineTuner(m, 1), "`num_classes`.*at least 2.*=1"),
        (lambda m: FineTuner(m, 3, from_layer=2), "`from_layer` must be at most 1"),
        (
            lambda m: FineTuner(m, 3, from_layer="top"),
            "`from_layer` must be \"b.*'top'",
        ),
        (lambda m: FineTuner(m, 3, label_smoothing=1), "`label_smoothing`.*=1"),
        (lambda m: FineTuner(m, 3, views="cifar"), "`views` must be.*'cifar'"),
        (lambda m: FineTuner(m, 3, views=3), "`views` must be.*int"),
        (lambda m: FineTuner(m, 3, seed=-1), "`seed`.*-1"),
        (lambda m: FineTuner(toy_backbone(), 3), "`views` must be given"),
        (
            lambda m: FineTuner(toy_backbone(), 3, from_layer=1, views="digits"),
            "`from_layer` must be 0 or None",
        ),
        (
            lambda m: FineTuner(dense_backbone(), 3, views="digits"),
            "does not take images of 16 x 16 x 1",
        ),
        (lambda m: FineTuner(FineTuner(m, 3), 4), "`num_classes` must be that of"),
        (lambda m: FineTuner(FineTuner(m, 3), 3, from_layer=0), "`from_layer` is for"),
        (lambda m: Distiller("resnet", m), "`student` must be.*str"),
        (lambda m: Distiller(m, "resnet"), "`teacher` must be a keras.Model.*str"),
        (lambda m: Distiller(m, m, temperature=0), "`temperature` must be positive"),
        (lambda m: Distiller(m, m, distillation_weight=0), "`distillation_weight`.*0"),
        (lambda m: Distiller(m, m, distillation_weight=2), "`distillation_weight`.*2"),
        (lambda m: Distiller(m, m, teacher_outputs="x"), "`teacher_outputs`.*'x'"),
        (lambda m: Distiller(m, m, num_classes=4), "`num_classes`.*has 3.*=4"),
        (
            lambda m: Distiller(toy_backbone(), linear_teacher("logits")[0]),
            "`views` must be given where neither",
        ),
        (
            lambda m: Distiller(m, linear_teacher("logits")[0]),
            "`teacher`.*does not take images of 8 x 8 x 1",
        ),
        (
            lambda m: Distiller(m, SimCLR(toy_backbone(), views=toy_views())),
            "`teacher` must predict classes.*SimCLR",
        ),
        (lambda m: Distiller(m, maps()), "`teacher`.*must give the probabilities"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            make(pretrained[0])


@pytest.mark.any_backend
def test_data_that_does_not_fit_is_named(tuned):
    tuner = tuned[0]
    for data, message in (
        ((), "`x` is missing"),
        ((IMAGES,), "`y` is missing"),
        ((IMAGES, LABELS + 1), "`y` must hold integer labels from 0 to 2"),
        ((IMAGES, LABELS - 1), "`y` must hold integer labels from 0 to 2"),
        ((IMAGES, LABELS[:7]), "`x` and `y` must be of one length.*60.*7"),
        ((IMAGES[:, :5, :5], LABELS), "`x` holds images of 5 x 5 pixels"),
        ((IMAGES[..., 0], LABELS), "`x` must hold images.*channel axis"),
        ((Batches(IMAGES, LABELS), LABELS), "`y` is for images as an array"),
        (([*IMAGES], LABELS), r"`y` is for.*type list.*numpy\.stack\(images\)"),
        ((Batches(IMAGES),), "`x` must hold \\(images, labels\\)"),
        ((iter([(IMAGES, LABELS)]),), "`x` must be.*read again"),
    ):
        with pytest.raises(ValueError, match=message):
            tuner.fit(*data, verbose=0)
    with pytest.raises(ValueError, match="`batch_size` must be at most.*61 for 60"):
        tuner.fit(IMAGES, LABELS, batch_size=61, verbose=0)
    with pytest.raises(ValueError, match="`validation_data` must hold integer labels"):
        tuner.fit(IMAGES, LABELS, validation_data=(IMAGES, LABELS + 1), verbose=0)
    with pytest.raises(ValueError, match="`x` must hold images with 1 channel"):
        tuner.predict(np.zeros((2, 8, 8, 3)))
    with pytest.raises(ValueError, match="`x` must come with labels"):
        tuner.evaluate(IMAGES)
    with pytest.raises(ValueError, match="must be compiled before `fit`"):
        FineTuner(tuner, 3).fit(IMAGES, LABELS)


@pytest.mark.any_backend
def test_labels_that_do_not_fit_the_weight_are_named(tuned):
    alone, mixed = (
        Distiller(tuned[0], tuned[0]),
        Distiller(tuned[0], tuned[0], distillation_weight=0.5),
    )
    with pytest.raises(ValueError, match="must be compiled before `fit`"):
        alone.fit(IMAGES)
    alone.compile("sgd", **QUICK)
    mixed.compile("sgd", **QUICK)
    with pytest.raises(ValueError, match="`labelled` has no effect"):
        alone.fit(IMAGES, (IMAGES, LABELS))
    with pytest.raises(ValueError, match="`labelled` is missing"):
        mixed.fit(IMAGES)
    with pytest.raises(ValueError, match="`unlabelled` is missing"):
        alone.fit()
    untaught = Distiller(toy_backbone(), toy_model())
    untaught.compile("sgd", **QUICK)
    with pytest.raises(ValueError, match="`teacher`.*memory, which is empty"):
        untaught.fit(IMAGES)
    teacher, _ = linear_teacher("logits")
    student = Distiller(dense_backbone(), teacher, views=plain_views())
    student.compile("sgd", **QUICK)
    with pytest.raises(ValueError, match='`teacher`.*probabilities.*="logits"'):
        student.fit(IMAGES[:, :3, :3])


def test_both_are_in_the_package():
    assert semppl_keras.FineTuner is FineTuner
    assert semppl_keras.distillation.Distiller is Distiller
