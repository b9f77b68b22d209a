"""N devices with B / N images each against one device with B images."""

import itertools
import os
import pathlib
import socket
import subprocess
import sys
import types

import distributed_training
import keras
import numpy as np
import pytest
from distributed_training import clipped_sgd
from toys import toy_backbone, toy_images, toy_model

from semppl_keras.data.checks import ImageSpec
from semppl_keras.data.feed.feed import make_feed
from semppl_keras.training.backends import replicas
from semppl_keras.training.global_batch import GlobalBatch

BACKEND = keras.backend.backend()
SCRIPT = pathlib.Path(distributed_training.__file__)
SCENARIOS = distributed_training.SCENARIOS
ROUNDED = ("bfloat16", "float16")
# What the default run compares, on two devices; the slow one adds the others, and all
# of them on four.
QUICK = ["semppl", "simclr_memory", "clipped"]


def start(*arguments, devices):
    """A process that trains on virtual devices."""
    several = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, SCRIPT, "--devices", str(devices), *map(str, arguments)],
        env={
            **os.environ,
            "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {several}",
            "PYTHONPATH": str(SCRIPT.parent.parent),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_two(*arguments):
    """Two processes on the loopback interface that train together."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    return [
        start("--port", port, "--process", index, *arguments, devices=1)
        for index in range(2)
    ]


def finish(*processes):
    try:
        outputs = [process.communicate(timeout=900)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-4000:]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def assert_same(one, many):
    """Losses, memory and weights, step by step, and the gradients."""
    assert one
    assert set(one) == set(many)
    for key, value in one.items():
        rounded = key.startswith(ROUNDED)
        if rounded and not key.endswith("/log/loss"):
            # Few bits decide votes by the order in which sums are made.
            continue
        rtol, atol = (3e-2, 0.0) if rounded else (1e-4, 1e-5)
        atol += rtol * np.abs(value).max(initial=0.0)
        np.testing.assert_allclose(many[key], value, rtol=0, atol=atol, err_msg=key)
    for scenario in {key.split("/")[0] for key in one} - {*ROUNDED, "lars"}:
        expected, actual = movements(one, scenario), movements(many, scenario)
        for moved, moved_there in zip(expected, actual, strict=True):
            # The gradient of this one carries ten times the rounding of the others.
            bound = 1e-3 if scenario == "suncet" else 1e-4
            error, length = np.linalg.norm(moved_there - moved), np.linalg.norm(moved)
            assert error <= bound * length, f"{scenario}: {error:.1e} of {length:.1e}"


def movements(record, scenario):
    """How the trained weights moved from one epoch to the next, each as one vector.

    By plain descent they move by their gradient.
    """
    epochs = {}
    for key in record:
        if key.startswith(f"{scenario}/") and "/trained/" in key:
            value = np.asarray(record[key], "float64").ravel()
            epochs.setdefault(key.split("/")[1], []).append(value)
    vectors = [np.concatenate(epochs[epoch]) for epoch in sorted(epochs)]
    return [after - before for before, after in itertools.pairwise(vectors)]


def one_device(*scenarios):
    results = {}
    for name in scenarios:
        keras.utils.set_random_seed(0)
        for key, value in SCENARIOS[name]().items():
            results[f"{name}/{key}"] = value
    return results


def saved_by_one(folder):
    """A model that one device has begun, and the arguments by which others go on with
    it and save one of their own."""
    keras.utils.set_random_seed(0)
    model = distributed_training.make_semppl()
    distributed_training.pretrain(model, epochs=1)
    model.save(folder / "one.keras")
    return model, ("--load", folder / "one.keras", "--save", folder / "many.keras")


def assert_goes_on_with_what_many_saved(folder, resumed):
    loaded = keras.models.load_model(folder / "many.keras")
    assert_same(resumed, distributed_training.go_on(loaded))


if BACKEND != "torch":

    def test_several_devices_are_one(tmp_path):
        """So is what they save, and what they go on with."""
        model, files = saved_by_one(tmp_path)
        process = start(*files, "--out", tmp_path / "many.npz", *QUICK, devices=2)
        resumed = distributed_training.go_on(model)
        expected = {**one_device(*QUICK), **resumed}
        finish(process)
        assert_same(expected, np.load(tmp_path / "many.npz"))
        assert_goes_on_with_what_many_saved(tmp_path, resumed)

    @pytest.mark.slow
    @pytest.mark.parametrize("count", [2, 4])
    def test_several_devices_are_one_for_every_model_and_setting(count, tmp_path):
        quick = QUICK if count == 2 else []
        names = sorted({*SCENARIOS} - {*quick})
        process = start("--out", tmp_path / "many.npz", *names, devices=count)
        expected = one_device(*names)
        finish(process)
        assert_same(expected, np.load(tmp_path / "many.npz"))

    @pytest.mark.slow
    def test_two_processes_are_one_device(tmp_path):
        names = ["semppl", "simclr_memory"]
        processes = start_two("--out", tmp_path / "{process}.npz", *names)
        expected = one_device(*names)
        finish(*processes)
        assert_same(expected, np.load(tmp_path / "0.npz"))


@pytest.mark.parametrize("num_replicas", [2, 4])
def test_no_image_is_left_out_where_sizes_do_not_divide(num_replicas):
    images = np.arange(23 + 7).reshape(-1, 1, 1, 1) * np.ones((1, 4, 4, 1))
    feed = make_feed(
        images[:23].astype("uint8"),
        (images[23:].astype("uint8"), np.arange(7) % 3),
        ImageSpec(3, (1,)),
        seed=0,
        num_replicas=num_replicas,
    )
    feed = getattr(feed, "_feed", feed)
    assert (
        feed.batch_size % num_replicas == feed.labelled_batch_size % num_replicas == 0
    )
    seen = [set(), set()]
    for step in range(3 * feed.steps_per_epoch):
        for part, own in zip(feed[step][0], seen, strict=True):
            own.update(part[:, 0, 0, 0].tolist())
    assert seen == [set(range(23)), set(range(23, 30))]


def test_replicas_draw_what_one_device_would(monkeypatch):
    def draws(*sizes):
        return keras.ops.convert_to_numpy(GlobalBatch(*sizes).uniform((1, 3), seed=0))

    whole = draws(4, 2)
    monkeypatch.setattr(replicas, "count", lambda: 2)
    parts = []
    for index in range(2):
        monkeypatch.setattr(replicas, "index", lambda index=index: index, raising=False)
        parts.append(draws(2, 1))
    joined = [parts[0][:2], parts[1][:2], parts[0][2:], parts[1][2:]]
    np.testing.assert_array_equal(np.concatenate(joined), whole)
    assert len(np.unique(whole)) == whole.size


def test_a_size_that_the_replicas_cannot_share_is_refused():
    images, labels = toy_images(24)
    for argument in ("batch_size", "labelled_batch_size"):
        with pytest.raises(
            ValueError,
            match=f"`{argument}` must be a multiple of the 4 replicas.*=6. Try 4.",
        ):
            make_feed(
                images,
                (images, labels),
                ImageSpec(3, (1,)),
                seed=0,
                num_replicas=4,
                **{argument: 6},
            )


def test_a_part_of_every_batch_is_a_process_own():
    images, labels = toy_images(24)

    def batches(*part):
        feed = make_feed(images, (images, labels), ImageSpec(3, (1,)), seed=0)
        feed = getattr(feed, "_feed", feed)
        if part:
            feed.take_part(*part)
        return [feed[step] for step in range(2)]

    whole, parts = batches(), [batches(index, 4) for index in range(4)]
    for step, (images, labels) in enumerate(whole):
        for position, expected in enumerate(images):
            joined = np.concatenate([part[step][0][position] for part in parts])
            np.testing.assert_array_equal(joined, expected)
        joined = np.concatenate([part[step][1]["label"] for part in parts])
        np.testing.assert_array_equal(joined, labels["label"])


if BACKEND == "tensorflow":
    import tensorflow as tf

    @pytest.mark.slow
    def test_a_device_of_another_process_is_one_of_this(tmp_path):
        """As on a TPU node, whose host runs no Python of this process."""
        names, port = ["interrupted", "datasets", "uneven"], free_port()
        host = start("--serve", port, devices=1)
        try:
            out = tmp_path / "remote.npz"
            process = start("--remote", port, "--out", out, *names, devices=1)
            expected = one_device(*names)
            finish(process)
        finally:
            host.kill()
            host.communicate()
        assert_same(expected, np.load(out))

    @pytest.mark.parametrize(
        "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
    )
    def test_a_strategy_of_one_device_changes_nothing(jit_compile):
        def train():
            keras.utils.set_random_seed(0)
            model = toy_model(
                compile_arguments={
                    "optimizer": keras.optimizers.SGD(0.02),
                    "jit_compile": jit_compile,
                }
            )
            return distributed_training.go_on(model)

        expected = train()
        with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
            actual = train()
        assert_same(expected, actual)

    def test_a_strategy_must_hold_model_and_optimiser():
        model = toy_model()
        with (
            tf.distribute.OneDeviceStrategy("/cpu:0").scope(),
            pytest.raises(ValueError, match="in the scope of one tf.distribute"),
        ):
            model.compile("sgd")
        with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
            model = toy_model()
        with pytest.raises(ValueError, match="made under OneDeviceStrategy"):
            model.compile("sgd")

    def test_what_another_strategy_has_made_is_told_at_fit():
        """As when a cell of a notebook is run again, but not all after it."""
        with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
            model = toy_model()
        with (
            tf.distribute.OneDeviceStrategy("/cpu:0").scope(),
            pytest.raises(ValueError, match="another one: OneDevice.*in its scope"),
        ):
            distributed_training.go_on(model)
        backbone = toy_backbone()
        with (
            tf.distribute.MirroredStrategy(["/cpu:0"]).scope(),
            pytest.raises(ValueError, match=r"another one: none \(\d+ weights"),
        ):
            toy_model(backbone)

    def test_a_strategy_that_keeps_variables_elsewhere_is_refused():
        strategy = tf.distribute.experimental.CentralStorageStrategy(["/cpu:0"])
        with (
            strategy.scope(),
            pytest.raises(ValueError, match="on every device.*CentralStorageStrategy"),
        ):
            toy_model()

    def test_xla_is_refused_for_replicas(monkeypatch):
        with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
            model = toy_model()
            monkeypatch.setattr(type(model), "num_replicas", 2)
            with pytest.raises(ValueError, match="jit_compile=True under OneDevice"):
                model.compile("sgd", jit_compile=True)
            model.compile("sgd")
            assert model.jit_compile is False

    def test_the_optimiser_is_as_it_was_after_a_strategy():
        with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
            model = toy_model(compile_arguments={"optimizer": clipped_sgd()})
            before = set(vars(model.optimizer))
            distributed_training.go_on(model)
        assert set(vars(model.optimizer)) == before


if BACKEND == "jax":

    @pytest.mark.slow
    def test_devices_that_divide_the_weights_are_one(tmp_path):
        names = ["semppl", "fine_tuner", "uneven", "clipped"]
        out = tmp_path / "many.npz"
        process = start("--model-parallel", "--out", out, *names, devices=4)
        expected = one_device(*names)
        finish(process)
        assert_same(expected, np.load(out))

    def test_processes_divide_the_batches_themselves(monkeypatch):
        monkeypatch.setattr("jax.process_count", lambda: 2)
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(auto_shard_dataset=True)
        )
        try:
            model = toy_model()
            with pytest.raises(ValueError, match="auto_shard_dataset=False"):
                distributed_training.go_on(model)
        finally:
            keras.distribution.set_distribution(None)

    def test_what_another_distribution_has_placed_is_told_at_fit(monkeypatch):
        """As when a cell of a notebook is run again, but not all after it."""
        model = toy_model()
        monkeypatch.setattr(
            "keras.distribution.distribution",
            lambda: types.SimpleNamespace(
                device_mesh=types.SimpleNamespace(devices=np.zeros(2)),
                num_model_replicas=1,
            ),
        )
        with pytest.raises(ValueError, match="under one of 2 device.*that lie on 1"):
            distributed_training.go_on(model)


if BACKEND == "torch":

    def compare_two_processes(folder, *names, options=()):
        """With one, and with each other: they are the same to the last bit."""
        processes = start_two("--out", folder / "{process}.npz", *options, *names)
        expected = one_device(*names)
        finish(*processes)
        first, second = (dict(np.load(folder / f"{index}.npz")) for index in range(2))
        assert set(first) == set(second)
        for key, value in first.items():
            np.testing.assert_array_equal(second[key], value, err_msg=key)
        resumed = {key: first.pop(key) for key in [*first] if key.startswith("resumed")}
        assert_same(expected, first)
        return resumed

    def test_two_processes_are_one(tmp_path):
        """So is what they save, and what they go on with."""
        model, files = saved_by_one(tmp_path)
        expected = distributed_training.go_on(model)
        resumed = compare_two_processes(tmp_path, *QUICK, options=files)
        assert_same(expected, resumed)
        assert_goes_on_with_what_many_saved(tmp_path, expected)

    @pytest.mark.slow
    def test_two_processes_are_one_for_every_model_and_setting(tmp_path):
        compare_two_processes(tmp_path, *sorted({*SCENARIOS} - {*QUICK}))
