"""Trains on all devices that there are, of one machine or of several.

    python examples/many_devices.py                  all devices of this machine
    python examples/launch.py --processes 2 examples/many_devices.py
                                                     two processes, to try it here

TensorFlow, JAX or torch, by KERAS_BACKEND; TPUs, GPUs, else the CPU. On several
machines the same command runs on each. JAX finds TPU slices, Slurm and the like by
itself (`--multi-host`); elsewhere, and on TensorFlow, each process is told its place:

    JAX_COORDINATOR=HOST:PORT JAX_PROCESSES=N JAX_PROCESS=INDEX    for JAX
    TF_CONFIG={"cluster": {"worker": [...]}, "task": {...}}        for TensorFlow

On torch each process has one GPU, on one machine too, and torchrun tells them:

    KERAS_BACKEND=torch torchrun --nproc-per-node 8 examples/many_devices.py

N devices compute what one would with the whole batch. Every process is given all data
and takes its part of each batch (JAX and torch read no more of arrays than that); of
what they save the first one's file stays.
"""

import argparse
import contextlib
import dataclasses
import os
import tempfile

import keras

import semppl_keras


def all_devices(multi_host):
    """A scope in which models are made, compiled and trained; the process' number."""
    if keras.backend.backend() == "tensorflow":
        return strategy_of_all_devices()
    if keras.backend.backend() == "torch":
        return process_group(), int(os.environ.get("RANK", 0))
    import jax

    if "JAX_COORDINATOR" in os.environ:
        keras.distribution.initialize(
            os.environ["JAX_COORDINATOR"],
            int(os.environ["JAX_PROCESSES"]),
            int(os.environ["JAX_PROCESS"]),
        )
    elif multi_host:
        keras.distribution.initialize()
    # Each process takes its part of a batch itself.
    distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    # For good: nothing may be created without it.
    keras.distribution.set_distribution(distribution)
    return contextlib.nullcontext(), jax.process_index()


def strategy_of_all_devices():
    import tensorflow as tf

    if "TF_CONFIG" in os.environ:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        return strategy.scope(), strategy.cluster_resolver.task_id
    if tf.config.list_physical_devices("TPU") or "TPU_NAME" in os.environ:
        # Without a name, the TPU of this very machine.
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(
            None if "TPU_NAME" in os.environ else "local"
        )
        return tf.distribute.TPUStrategy(resolver).scope(), 0
    return tf.distribute.MirroredStrategy().scope(), 0


@contextlib.contextmanager
def process_group():
    """The processes that torchrun or launch.py started, if it did; a GPU for each."""
    import torch

    if "RANK" not in os.environ:
        yield
        return
    processes = int(os.environ["LOCAL_WORLD_SIZE"])
    gpus = torch.cuda.device_count()
    if 0 < gpus < processes:
        raise SystemExit(
            f"{processes} processes need a GPU each, and there are {gpus}. Start "
            'fewer, or set CUDA_VISIBLE_DEVICES="" for the CPU.'
        )
    if gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if gpus else "gloo")
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def save(model, path, process):
    """All processes save, as variables may need all to be read; one file stays."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(path if process == 0 else f"{folder}/model.keras")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--out", default="many_devices.keras")
    parser.add_argument(
        "--multi-host", action="store_true", help="JAX finds the other hosts by itself"
    )
    arguments = parser.parse_args()
    scope, process = all_devices(arguments.multi_host)

    recipe = semppl_keras.recipes.digits(epochs=arguments.epochs)
    # Labels are propagated in one process alone.
    settings = {**recipe.model, "labeller": "memory"}
    recipe = dataclasses.replace(recipe, model=settings)
    data = semppl_keras.data.load_digits(labels_per_class=10, seed=0)
    data = data.enlarged(recipe.image_size)
    steps_per_epoch = -(-len(data.x_unlabelled) // recipe.batch_size)
    # The same initial weights in every process.
    keras.utils.set_random_seed(0)
    with scope:
        model = recipe.make_model(1, data.num_classes, steps_per_epoch, seed=0)
        history = model.fit(
            data.x_unlabelled,
            (data.x_labelled, data.y_labelled),
            epochs=recipe.epochs,
            # Of all devices together.
            batch_size=recipe.batch_size,
            labelled_batch_size=recipe.labelled_batch_size,
            verbose=2 if process == 0 else 0,
        )
        save(model, arguments.out, process)
        if process == 0:
            print(
                f"{model.num_replicas} device(s), last loss "
                f"{history.history['loss'][-1]:.4f}; {arguments.out} is written"
            )


if __name__ == "__main__":
    main()
