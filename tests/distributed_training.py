"""Trains small models on some devices, and writes what became of them.

    python tests/distributed_training.py --devices 2 --out result.npz semppl suncet

For `test_distribution`, which compares this with one device. The devices are virtual:
how many there are must be said before a backend starts, and so in a process of its
own. With `--port` it is one of two processes on the loopback interface, each of one
device (`--process`). On torch these are all that there is. With `--serve` it is a host
whose device another process trains on (`--remote`), as on a TPU node.
"""

import argparse
import contextlib
import json
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from toys import toy_backbone, toy_images, toy_model, toy_views

from semppl_keras import (
    BYOL,
    ConsistencyTrainer,
    Distiller,
    FineTuner,
    ReLICv2,
    SemPPL,
    SimCLR,
    SuNCEt,
)
from semppl_keras import consistency as parts
from semppl_keras.callbacks import TargetEMA
from semppl_keras.optimizers import LARS
from semppl_keras.views import RandAugment, WeakStrong

BACKEND = keras.backend.backend()
IMAGES, LABELS = toy_images(40)
UNLABELLED, HIDDEN = IMAGES[8:], np.where(np.arange(32) < 9, LABELS[8:], -1)
LABELLED = IMAGES[:8], LABELS[:8]
# Around 0, where Keras' statistics over replicas (the mean of squares less the square
# of the mean) are as precise as those of one device.
VIEWS = toy_views(output_range=(-1, 1))
SETTINGS = {"views": VIEWS, "projection_dim": 4, "hidden_dim": 16, "seed": 0}
# Plain descent, so that weights that agree from step to step have gradients that do.
LEARNING_RATE = 0.02


class Recorder(keras.callbacks.Callback):
    """Losses and all variables after each epoch."""

    def __init__(self):
        super().__init__()
        self.record = {}

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            self.record[f"{epoch}/log/{name}"] = np.asarray(value)
        trained = {id(variable) for variable in self.model.trainable_variables}
        for index, variable in enumerate(self.model.variables):
            kind = "trained" if id(variable) in trained else "state"
            name = f"{epoch}/{kind}/{index}:{variable.name}"
            self.record[name] = keras.ops.convert_to_numpy(variable)


def train(model, *data, optimizer=None, epochs=3, **arguments):
    """The record of a few epochs of one step each, if nothing else is said."""
    options = {"steps_per_execution": arguments.pop("steps_per_execution", 1)}
    if BACKEND == "tensorflow":
        # Compiled, one device would draw other views.
        options["jit_compile"] = False
    model.compile(optimizer or keras.optimizers.SGD(LEARNING_RATE), **options)
    recorder = Recorder()
    model.fit(
        *data,
        epochs=epochs,
        verbose=0,
        callbacks=[recorder],
        **{"batch_size": 32, **arguments},
    )
    return recorder.record


def pretrain(model, hidden=False, **arguments):
    unlabelled = (UNLABELLED, HIDDEN) if hidden else UNLABELLED
    return train(model, unlabelled, LABELLED, labelled_batch_size=8, **arguments)


def make_semppl(**changes):
    # A seed with which no unit comes to lie within rounding of ReLU's kink, where the
    # gradient jumps.
    return toy_model(views=VIEWS, seed=2, **changes)


def semppl(**arguments):
    # Fewer classes known of some replicas' images than of others'.
    return pretrain(make_semppl(neighbours=3), hidden=True, **arguments)


def fine_tuner():
    tuner = FineTuner(make_semppl(), num_classes=3, seed=0)
    return train(
        # Of the last batch of 32 a single image is left, for one replica.
        tuner,
        *LABELLED,
        batch_size=8,
        validation_data=(IMAGES[:33], LABELS[:33]),
    )


def distiller():
    teacher = FineTuner(make_semppl(), num_classes=3, seed=0)
    student = Distiller(toy_backbone(), teacher, distillation_weight=0.5, seed=0)
    return train(student, UNLABELLED, LABELLED, labelled_batch_size=8)


def consistency():
    """With what counts over all images: averages, the memory, a permutation."""
    trainer = ConsistencyTrainer(
        make_semppl(),
        views=WeakStrong(VIEWS, RandAugment(0), cutout=0.5),
        teacher=parts.EMATeacher(0.9),
        alignment=parts.DistributionAlignment("labelled"),
        refinement=parts.MemorySmoothing(0.8),
        weighting=parts.TruncatedGaussian(),
        targets=parts.SoftLabels(0.5),
        mixing=parts.PseudoMixup(),
        logit_interpolation=True,
        seed=0,
    )
    return pretrain(trainer, hidden=True)


def clipped_sgd():
    """Accumulates gradients, and clips them by the norm of all."""
    return keras.optimizers.SGD(
        LEARNING_RATE, global_clipnorm=0.5, gradient_accumulation_steps=2
    )


def clipped():
    """Two changes of the weights, by gradients that were clipped."""
    return semppl(optimizer=clipped_sgd(), epochs=4)


def in_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        return semppl()
    finally:
        keras.config.set_dtype_policy("float32")


def uneven():
    """No number of images divides by the devices."""
    model = make_semppl()
    record = train(
        model,
        UNLABELLED[:23],
        (IMAGES[:7], LABELS[:7]),
        batch_size=20,
        labelled_batch_size=4,
        epochs=1,
        validation_data=(IMAGES[:13], LABELS[:13]),
    )
    evaluated = model.evaluate(IMAGES[:33], LABELS[:33], verbose=0)
    return {
        **record,
        "predicted": model.predict(IMAGES[:33], verbose=0),
        "embedded": model.embed(IMAGES[:1]),
        "evaluated": np.asarray(evaluated),
    }


def datasets():
    """Batches of other sizes than those of the step, with smaller ones at the end."""
    import tensorflow as tf

    unlabelled = tf.data.Dataset.from_tensor_slices(UNLABELLED[:23]).batch(7)
    labelled = tf.data.Dataset.from_tensor_slices((IMAGES[:7], LABELS[:7])).batch(3)
    return train(
        make_semppl(),
        unlabelled,
        labelled,
        batch_size=20,
        labelled_batch_size=4,
        epochs=1,
    )


def interrupted():
    """Two epochs, and what is left of a third one, as after an interruption."""
    model = make_semppl()
    first = pretrain(model, epochs=2, batch_size=16)
    recorder = Recorder()
    model.fit(
        UNLABELLED,
        LABELLED,
        batch_size=16,
        labelled_batch_size=8,
        initial_epoch=2,
        initial_batch=1,
        epochs=4,
        verbose=0,
        callbacks=[recorder, TargetEMA(0.9, total_steps=8)],
    )
    return {**first, **recorder.record}


SCENARIOS = {
    "semppl": semppl,
    "semppl_byol": lambda: pretrain(
        SemPPL(toy_backbone(), 3, objective="byol", memory_size=12, **SETTINGS)
    ),
    "simclr_memory": lambda: pretrain(
        SimCLR(toy_backbone(), memory_size=60, temperature=0.5, **SETTINGS)
    ),
    "suncet": lambda: pretrain(SuNCEt(toy_backbone(), 3, temperature=0.5, **SETTINGS)),
    "relicv2": lambda: pretrain(ReLICv2(toy_backbone(), num_negatives=4, **SETTINGS)),
    "byol": lambda: pretrain(BYOL(toy_backbone(), **SETTINGS)),
    "fine_tuner": fine_tuner,
    "distiller": distiller,
    "consistency": consistency,
    "lars": lambda: semppl(optimizer=LARS(0.5, weight_decay=1e-3)),
    "clipped": clipped,
    "clipped_each": lambda: semppl(
        optimizer=keras.optimizers.SGD(LEARNING_RATE, clipnorm=0.1, weight_decay=0.1)
    ),
    "clipped_values": lambda: semppl(
        optimizer=keras.optimizers.SGD(LEARNING_RATE, momentum=0.9, clipvalue=0.01)
    ),
    "accumulation": lambda: semppl(
        optimizer=keras.optimizers.SGD(0.1, gradient_accumulation_steps=2), epochs=4
    ),
    "several_steps": lambda: semppl(batch_size=16, steps_per_execution=2),
    "bfloat16": lambda: in_precision("mixed_bfloat16"),
    "float16": lambda: in_precision("mixed_float16"),
    "uneven": uneven,
    "datasets": datasets,
    "interrupted": interrupted,
}


if BACKEND == "torch":
    # Keras runs one step at a time there.
    del SCENARIOS["several_steps"]


@contextlib.contextmanager
def devices_of(arguments):
    """The strategy or distribution of the devices asked for."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        if arguments.remote:
            tf.config.experimental_connect_to_host(f"127.0.0.1:{arguments.remote}")
            strategy = tf.distribute.OneDeviceStrategy(
                "/job:worker/replica:0/task:0/device:CPU:0"
            )
        elif arguments.port:
            workers = [f"127.0.0.1:{arguments.port + index}" for index in range(2)]
            os.environ["TF_CONFIG"] = json.dumps(
                {
                    "cluster": {"worker": workers},
                    "task": {"type": "worker", "index": arguments.process},
                }
            )
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
        else:
            tf.config.set_logical_device_configuration(
                tf.config.list_physical_devices("CPU")[0],
                [tf.config.LogicalDeviceConfiguration()] * arguments.devices,
            )
            strategy = tf.distribute.MirroredStrategy(
                [f"/cpu:{index}" for index in range(arguments.devices)]
            )
        with strategy.scope():
            yield
    elif BACKEND == "torch":
        from torch import distributed

        if not arguments.port:
            yield
            return
        distributed.init_process_group(
            "gloo",
            init_method=f"tcp://127.0.0.1:{arguments.port}",
            rank=arguments.process,
            world_size=2,
        )
        yield
        distributed.destroy_process_group()
    else:
        if arguments.port:
            keras.distribution.initialize(
                f"127.0.0.1:{arguments.port}", 2, arguments.process
            )
        keras.distribution.set_distribution(distribution_of(arguments))
        yield


def distribution_of(arguments):
    """JAX' devices, each with all weights, or with a part of the large ones."""
    if not arguments.model_parallel:
        return keras.distribution.DataParallel(auto_shard_dataset=False)
    mesh = keras.distribution.DeviceMesh(
        (arguments.devices // 2, 2), ("batch", "model")
    )
    layout = keras.distribution.LayoutMap(mesh)
    layout[r".*conv.*kernel"] = (None, None, None, "model")
    layout[r".*(hidden|output)/kernel"] = (None, "model")
    layout["memory/embeddings"] = (None, None, "model")
    return keras.distribution.ModelParallel(
        layout_map=layout, batch_dim_name="batch", auto_shard_dataset=False
    )


def serve(port):
    """Lets another process use this one's device, until it is ended."""
    import tensorflow as tf

    cluster = tf.train.ClusterSpec({"worker": [f"127.0.0.1:{port}"]})
    tf.distribute.Server(cluster, job_name="worker", task_index=0).join()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scenarios", nargs="*")
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--port", type=int)
    parser.add_argument("--model-parallel", action="store_true")
    parser.add_argument("--process", type=int, default=0)
    parser.add_argument("--serve", type=int, help="port")
    parser.add_argument("--remote", type=int, help="port of a process that serves")
    parser.add_argument("--out", help="with {process} in it a file for each")
    parser.add_argument("--load", help="go on with this model for an epoch")
    parser.add_argument("--save", help="write the last model there")
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
    results = {}
    with devices_of(arguments):
        for name in arguments.scenarios:
            # On torch the initial weights are the first process' own.
            keras.utils.set_random_seed(arguments.process if BACKEND == "torch" else 0)
            for key, value in SCENARIOS[name]().items():
                results[f"{name}/{key}"] = value
        if arguments.load:
            model = keras.models.load_model(arguments.load)
            results.update(go_on(model))
        if arguments.save:
            keras.utils.set_random_seed(0)
            model = make_semppl()
            pretrain(model, epochs=1)
            if arguments.process == 0:
                model.save(arguments.save)
    if arguments.out:
        np.savez(arguments.out.format(process=arguments.process), **results)


def go_on(model):
    """The record of one more epoch of a model that was loaded."""
    recorder = Recorder()
    model.fit(
        UNLABELLED,
        LABELLED,
        batch_size=32,
        labelled_batch_size=8,
        verbose=0,
        callbacks=[recorder],
    )
    return {f"resumed/{key}": value for key, value in recorder.record.items()}


if __name__ == "__main__":
    main()
