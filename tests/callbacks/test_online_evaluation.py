"""OnlineEvaluation: its numbers, what it writes, and that it disturbs nothing."""

import io
import random
import subprocess
import sys
import textwrap
import types

import keras
import numpy as np
import pytest
from toys import (
    assert_same_weights,
    toy_backbone,
    toy_images,
    toy_model,
    toy_views,
    weights_of,
)

from semppl_keras import SimCLR
from semppl_keras.callbacks import OnlineEvaluation, ScalarLogs
from semppl_keras.callbacks.projector_folder import sprite
from semppl_keras.callbacks.scalar_logs import EventFile
from semppl_keras.evaluation import knn_accuracy, linear_probe

IMAGES, LABELS = toy_images(36)
LABELLED = (IMAGES[:9], LABELS[:9])
VALIDATION = toy_images(15, seed=1)
KNN, LINEAR, PSEUDO, SECONDS = NAMES = [
    "online_knn_accuracy",
    "online_linear_accuracy",
    "online_pseudo_label_accuracy",
    "online_evaluation_seconds",
]


def make_semppl():
    # TensorFlow takes longer to trace a step than to run a few without.
    untraced = {"run_eagerly": keras.backend.backend() != "jax"}
    return toy_model(compile_arguments=untraced)


def make_simclr():
    model = SimCLR(
        toy_backbone(), projection_dim=4, hidden_dim=16, seed=0, views=toy_views()
    )
    model.compile("adam", run_eagerly=keras.backend.backend() != "jax")
    return model


def fit(model, *callbacks, **arguments):
    settings = {
        "epochs": 3,
        "batch_size": 9,
        "labelled_batch_size": 3,
        "callbacks": list(callbacks),
        "verbose": 0,
    }
    return model.fit(IMAGES[9:27], LABELLED, **{**settings, **arguments})


class Untrained:
    """Gives the first pixels of images as features, and what is wanted as labels."""

    stop_training = False
    features = 4

    def __init__(self, pseudo_labels=None):
        if pseudo_labels is not None:
            self.num_classes = 3
            self.pseudo_label = lambda images: (np.array(pseudo_labels), None)

    def embed(self, images):
        return np.asarray(images, "float32").reshape(len(images), -1)[
            :, : self.features
        ]


def drive(evaluation, model, epochs, start=0):
    """The hooks as `fit` calls them; returns the logs of each epoch."""
    evaluation.set_model(model)
    evaluation.set_params({"epochs": epochs})
    evaluation.on_train_begin()
    told = []
    for epoch in range(start, epochs):
        evaluation.on_epoch_begin(epoch)
        told.append({"loss": 0.0})
        evaluation.on_epoch_end(epoch, told[-1])
    evaluation.on_train_end()
    return told


def read_events(folder):
    """Scalars and images by tag, each as (step, value); later runs supersede."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    scalars = {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }
    images = {
        tag: [
            (event.step, (event.width, event.height, event.encoded_image_string))
            for event in events.Images(tag)
        ]
        for tag in events.Tags()["images"]
    }
    return scalars, images


def read_config(folder):
    from google.protobuf import text_format
    from tensorboard.plugins.projector import ProjectorConfig

    text = (folder / "projector_config.pbtxt").read_text()
    return text_format.Parse(text, ProjectorConfig())


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same training without and with evaluation; what became of it."""
    folder = tmp_path_factory.mktemp("logs")
    evaluation = OnlineEvaluation(
        LABELLED, VALIDATION, every=2, neighbours=3, log_dir=folder
    )
    plain, watched = [
        train_semppl(*callbacks) for callbacks in ([], [evaluation, ScalarLogs(folder)])
    ]
    return types.SimpleNamespace(
        plain=plain, watched=watched, evaluation=evaluation, folder=folder
    )


def train_semppl(*callbacks):
    keras.utils.set_random_seed(3)
    model = make_semppl()
    history = fit(model, *callbacks).history
    return types.SimpleNamespace(
        history=history,
        weights={**weights_of(model), **weights_of(model.optimizer)},
        states=(random.getstate(), repr(np.random.get_state())),
        features=[model.embed(images) for images, _ in (LABELLED, VALIDATION)],
        pseudo_labels=model.pseudo_label(VALIDATION[0])[0],
    )


def test_training_goes_on_as_without_it(runs):
    assert runs.plain.history["loss"] == runs.watched.history["loss"]
    assert_same_weights(runs.plain.weights, runs.watched.weights)
    assert runs.plain.states == runs.watched.states


def test_the_logs_hold_what_the_model_is_worth_at_that_epoch(runs):
    # Of the last epoch, at the weights that training came to.
    train, test = runs.watched.features
    predicted = runs.watched.pseudo_labels
    probe = linear_probe(train, LABELLED[1])
    expected = {
        KNN: knn_accuracy(train, LABELLED[1], test, VALIDATION[1], k=3),
        LINEAR: probe.score(test, VALIDATION[1]),
        PSEUDO: np.mean(predicted == VALIDATION[1]),
    }
    for label in range(3):
        share = np.mean(predicted[VALIDATION[1] == label] == label)
        expected[f"{PSEUDO}/{label}"] = share
    told = runs.evaluation.history
    assert set(told) == {"epoch", SECONDS, *expected}
    assert {name: told[name][-1] for name in expected} == pytest.approx(expected)


def test_history_and_tensorboard_have_an_entry_per_evaluation(runs):
    # Of three epochs the second, and the last.
    history, told = runs.watched.history, runs.evaluation.history
    assert told["epoch"] == [1, 2]
    assert len(history["loss"]) == 3
    assert all(history[name] == told[name] for name in NAMES)
    scalars, _ = read_events(runs.folder / "train")
    expected = list(zip([1, 2], np.float32(told[KNN]).tolist(), strict=True))
    assert scalars[f"epoch_{KNN}"] == expected


@pytest.mark.any_backend
def test_a_model_without_pseudo_labels_is_measured_by_its_features():
    history = fit(make_simclr(), OnlineEvaluation(LABELLED, VALIDATION), epochs=2)
    found = {name for name in history.history if name.startswith("online_")}
    assert found == {KNN, LINEAR, SECONDS}
    assert all(len(history.history[name]) == 2 for name in found)


@pytest.mark.any_backend
def test_the_last_epoch_counts_where_a_later_callback_stops_training():
    class StopAfterTwo(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    model = make_semppl()
    evaluation = OnlineEvaluation(LABELLED, VALIDATION, every=10)
    history = fit(model, evaluation, StopAfterTwo(), epochs=4).history
    assert len(history["loss"]) == 2
    assert evaluation.history["epoch"] == [1]
    predicted, _ = model.pseudo_label(VALIDATION[0])
    assert history[PSEUDO] == [pytest.approx(np.mean(predicted == VALIDATION[1]))]


@pytest.mark.any_backend
def test_the_last_epoch_counts_where_an_earlier_callback_stopped_training():
    model = Untrained()
    model.stop_training = True
    evaluation = OnlineEvaluation(LABELLED, VALIDATION, every=10)
    evaluation.set_params({"epochs": 4})
    evaluation.set_model(model)
    evaluation.on_train_begin()
    logs = {}
    evaluation.on_epoch_end(0, logs)
    evaluation.on_train_end()
    assert set(logs) == {KNN, LINEAR, SECONDS}
    assert evaluation.history["epoch"] == [0]


@pytest.mark.any_backend
def test_accuracies_against_counting():
    # Features are the values themselves: neighbours can be seen.
    train = np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]).reshape(4, 1, 2, 1)
    test = np.array([[2.0, 0], [0, 3], [0, 2], [4, 0.2]]).reshape(4, 1, 2, 1)
    labelled = (train, np.array([0, 0, 1, 1]))
    validation = (test, np.array([0, 1, 1, 1]))
    evaluation = OnlineEvaluation(
        labelled, validation, class_names=["lying", "standing", "none"]
    )
    (logs,) = drive(evaluation, Untrained([0, 1, 2, 0]), epochs=1)
    assert logs[KNN] == logs[LINEAR] == 0.75
    assert logs[PSEUDO] == 0.5
    assert 0 < logs[SECONDS] == evaluation.history[SECONDS][0]
    assert set(logs) == {"loss", *NAMES}
    assert evaluation.history[f"{PSEUDO}/lying"] == [1.0]
    assert evaluation.history[f"{PSEUDO}/standing"] == [pytest.approx(1 / 3)]
    # There is no validation image to tell how well this class is labelled.
    assert f"{PSEUDO}/none" not in evaluation.history
    # The nearest of the first image has another label than all the rest.
    labelled = (train, np.array([1, 0, 0, 0]))
    for neighbours, expected in ((1, 0.0), (4, 0.25)):
        evaluation = OnlineEvaluation(labelled, validation, neighbours=neighbours)
        assert drive(evaluation, Untrained(), epochs=1)[0][KNN] == expected


@pytest.mark.any_backend
@pytest.mark.parametrize("shift", [0, 1])
def test_nothing_is_fitted_to_the_labels_of_validation(shift):
    images, labels = VALIDATION
    labels = (labels + shift) % 3
    evaluation = OnlineEvaluation(LABELLED, (images, labels))
    model = Untrained()
    (logs,) = drive(evaluation, model, epochs=1)
    probe = linear_probe(model.embed(LABELLED[0]), LABELLED[1])
    predicted = probe.predict(model.embed(images))
    assert logs[LINEAR] == pytest.approx(np.mean(predicted == labels))


@pytest.mark.any_backend
def test_features_that_diverged_are_told_as_nan(tmp_path):
    model = Untrained([0] * 15)
    evaluation = OnlineEvaluation(LABELLED, VALIDATION, log_dir=tmp_path)
    model.embed = lambda images: np.full((len(images), 2), np.nan)
    (logs,) = drive(evaluation, model, epochs=1)
    assert all(np.isnan(logs[name]) for name in (KNN, LINEAR, PSEUDO))
    assert np.isfinite(logs[SECONDS])
    assert not (tmp_path / "projector").exists()


@pytest.mark.any_backend
def test_a_line_is_printed_where_wanted(capsys):
    drive(OnlineEvaluation(LABELLED, VALIDATION), Untrained(), epochs=1)
    assert capsys.readouterr().out == ""
    drive(OnlineEvaluation(LABELLED, VALIDATION, verbose=1), Untrained(), epochs=1)
    assert f"Epoch 1: {KNN}: " in capsys.readouterr().out


@pytest.mark.any_backend
def test_tensorboard_reads_scalars_and_the_plot(tmp_path):
    from PIL import Image

    names = ["_lying_", "$tan^ding$", "无\tat all"]
    evaluation = OnlineEvaluation(
        LABELLED, VALIDATION, every=2, log_dir=tmp_path, class_names=names
    )
    drive(evaluation, Untrained([0, 1, 1] * 5), epochs=3)
    scalars, images = read_events(tmp_path)
    tags = {*NAMES, *(f"{PSEUDO}/{name}" for name in names)}
    assert set(scalars) == tags == set(evaluation.history) - {"epoch"}
    for tag, values in scalars.items():
        told = np.float32(evaluation.history[tag]).tolist()
        assert values == list(zip([1, 2], told, strict=True))

    assert [step for step, _ in images["online_embeddings"]] == [1, 2]
    width, height, png = images["online_embeddings"][0][1]
    plot = Image.open(io.BytesIO(png))
    assert plot.size == (width, height) == (700, 600)
    assert len(plot.convert("RGB").getcolors(2**20)) > 20


@pytest.mark.any_backend
@pytest.mark.parametrize("pseudo_labels", [None, [0, 1, 1] * 5])
def test_the_projector_finds_what_it_is_told(tmp_path, pseudo_labels):
    from PIL import Image

    model = Untrained(pseudo_labels)
    names = ["lying", "standing\tup", "none"]
    evaluation = OnlineEvaluation(
        LABELLED, VALIDATION, log_dir=tmp_path, class_names=names, max_embeddings=10
    )
    drive(evaluation, model, epochs=2)
    config = read_config(tmp_path)
    assert [entry.tensor_name for entry in config.embeddings] == [
        "epoch_0000",
        "epoch_0001",
    ]
    everything = model.embed(VALIDATION[0])
    for entry in config.embeddings:
        # Relative to the folder of the file that lists them.
        tensors = np.loadtxt(tmp_path / entry.tensor_path, delimiter="\t")
        assert tensors.shape == tuple(entry.tensor_shape) == (10, model.features)
        nearest = np.abs(everything[:, None] - tensors).sum(-1).argmin(axis=0)
        np.testing.assert_allclose(tensors, everything[nearest], rtol=1e-5)
        assert len(set(nearest)) == 10

        text = (tmp_path / entry.metadata_path).read_text().splitlines()
        header, *rows = [line.split("\t") for line in text]
        expected = ["label", "class"] + ["pseudo_label"] * bool(pseudo_labels)
        assert header == expected
        shown = [name.replace("\t", " ") for name in names]
        for row, index in zip(rows, nearest, strict=True):
            label = VALIDATION[1][index]
            assert row[:2] == [str(label), shown[label]]
            if pseudo_labels:
                assert row[2] == shown[pseudo_labels[index]]

        width, height = entry.sprite.single_image_dim
        assert (width, height) == (8, 8)
        sheet = Image.open(tmp_path / entry.sprite.image_path)
        assert sheet.size == (4 * width, 4 * height)
        # The sixth image, in the second row.
        thumbnail = np.asarray(sheet)[height : 2 * height, width : 2 * width, 0]
        image = VALIDATION[0][nearest[5], ..., 0]
        assert np.corrcoef(thumbnail.ravel(), image.ravel())[0, 1] > 0.999


@pytest.mark.any_backend
def test_a_resumed_run_supersedes_later_epochs_alone(tmp_path):
    config = tmp_path / "projector_config.pbtxt"
    config.write_text('embeddings { tensor_name: "w" tensor_path: "other/w.tsv" }')
    for start, stop in ((0, 4), (2, 3)):
        evaluation = OnlineEvaluation(LABELLED, VALIDATION, log_dir=tmp_path)
        drive(evaluation, Untrained(), stop, start)
    paths = [entry.tensor_path for entry in read_config(tmp_path).embeddings]
    own = [f"projector/000{epoch}/tensors.tsv" for epoch in range(3)]
    assert paths == ["other/w.tsv", *own]
    scalars, images = read_events(tmp_path)
    assert [step for step, _ in scalars[KNN]] == [0, 1, 2]
    assert [step for step, _ in images["online_embeddings"]] == [0, 1, 2]


@pytest.mark.any_backend
def test_training_may_begin_again_after_an_error(tmp_path):
    evaluation = OnlineEvaluation(LABELLED, VALIDATION, log_dir=tmp_path)
    evaluation.set_model(Untrained())
    evaluation.on_train_begin()
    evaluation.on_epoch_begin(0)
    evaluation.on_epoch_end(0)
    drive(evaluation, Untrained(), epochs=2)
    assert evaluation.history["epoch"] == [0, 1]
    assert len(read_config(tmp_path).embeddings) == 2


@pytest.mark.any_backend
def test_the_writers_do_not_load_tensorflow(tmp_path):
    module = sys.modules[sprite.__module__].__file__
    code = f"""
    import importlib.util, pathlib, sys
    import numpy as np
    spec = importlib.util.spec_from_file_location("projector_folder", {module!r})
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = pathlib.Path({str(tmp_path)!r})
    writer = module.ProjectorFolder(folder, np.zeros((2, 4, 4, 1)), 0)
    writer.write(0, np.ones((2, 3)), dict(label=[0, 1], name=["a", "b"]))
    assert "tensorflow" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
    assert len(read_config(tmp_path).embeddings) == 1


@pytest.mark.any_backend
def test_image_summaries_need_no_size(tmp_path):
    png, _ = sprite(np.zeros((3, 5, 7, 1), "uint8"))
    events = EventFile(tmp_path, 0)
    events.add_image("plot", png, 4)
    events.close()
    _, images = read_events(tmp_path)
    assert images == {"plot": [(4, (14, 10, png))]}


@pytest.mark.any_backend
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sprites_keep_proportions_and_colours(channels):
    from PIL import Image

    images = np.zeros((5, 64, 128, channels), "uint8")
    images[4, ..., 0] = 200
    png, size = sprite(images)
    assert size == (32, 16)
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    assert pixels.shape == (3 * 16, 3 * 32, 3)
    grey = channels < 3
    assert pixels[24, 48].tolist() == [200, 200 * grey, 200 * grey]
    assert pixels[:16].max() == 0
    # Any other range is shown from black to white.
    stretched, _ = sprite(images.astype("float32") / 1000 - 0.1)
    assert np.asarray(Image.open(io.BytesIO(stretched)))[24, 48, 0] == 255
    sprite(np.ones((2, 4, 4, channels)))


@pytest.mark.any_backend
def test_many_classes_are_drawn_without_names(tmp_path):
    data = (toy_images(66)[0], np.arange(66) % 22)
    evaluation = OnlineEvaluation(data, data, log_dir=tmp_path)
    drive(evaluation, Untrained(), epochs=1)
    assert len(read_events(tmp_path)[1]["online_embeddings"]) == 1


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "`every` must be an integer of at least 1. Received: every=0"),
        ({"every": 1.5}, "`every` must be an integer"),
        ({"max_embeddings": 0}, "`max_embeddings` must be an integer of at least 1"),
        ({"neighbours": 10}, r"`neighbours` must lie in \[1, 9\]"),
        ({"neighbours": 0}, "neighbours=0"),
        ({"labelled": IMAGES}, r"`labelled` must be a tuple \(images, labels\)"),
        ({"validation": (IMAGES,)}, "tuple of 1 part"),
        ({"labelled": (IMAGES[..., 0], LABELS)}, "`labelled` must hold images of"),
        ({"validation": (IMAGES[:0], LABELS[:0])}, "`validation` must hold images"),
        ({"validation": (IMAGES, LABELS[1:])}, "35 labels for 36 rows"),
        ({"labelled": (IMAGES, LABELS[:, None])}, r"shape \(36, 1\)"),
        ({"validation": (IMAGES, LABELS + 0.5)}, "must be integers"),
        (
            {"validation": (IMAGES, LABELS - 1)},
            "all be known here. Received: 12 of 36",
        ),
        ({"labelled": (IMAGES, LABELS * 0)}, "at least two classes"),
        ({"class_names": ["a", "b"]}, "at least 3. Received: 2 names"),
        ({"class_names": ["a", "b", "a"]}, r"more than once \['a'\]"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, message):
    arguments = {"labelled": LABELLED, "validation": VALIDATION, **arguments}
    with pytest.raises(ValueError, match=message):
        OnlineEvaluation(**arguments)


@pytest.mark.any_backend
def test_models_and_images_that_do_not_fit_are_known_before_training():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="`embed`, such as .* Received: Sequential"):
        model.fit(
            np.ones((4, 2)),
            np.ones((4, 1)),
            callbacks=[OnlineEvaluation(LABELLED, VALIDATION)],
            verbose=0,
        )

    model = make_semppl()
    before = weights_of(model)
    for validation, message in (
        ((VALIDATION[0].repeat(3, axis=-1), VALIDATION[1]), "1 channel"),
        ((VALIDATION[0], VALIDATION[1] + 1), r"labels in \[0, 3\).*Received: 3"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(model, OnlineEvaluation(LABELLED, validation))
    assert_same_weights(before, weights_of(model))


@pytest.mark.any_backend
def test_a_missing_tensorboard_is_said_at_once(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer", None)
    with pytest.raises(ImportError, match="need the package tensorboard"):
        OnlineEvaluation(LABELLED, VALIDATION, log_dir=tmp_path)
    OnlineEvaluation(LABELLED, VALIDATION)


@pytest.mark.any_backend
def test_a_loop_of_ones_own_may_leave_out_logs_and_length():
    evaluation = OnlineEvaluation(LABELLED, VALIDATION)
    evaluation.set_model(types.SimpleNamespace(embed=Untrained().embed))
    evaluation.model.stop_training = False
    evaluation.every = 2
    evaluation.on_train_begin()
    for epoch in range(3):
        evaluation.on_epoch_end(epoch)
    evaluation.on_train_end()
    assert evaluation.history["epoch"] == [1, 2]
