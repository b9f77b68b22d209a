"""What several devices exchange in a step, and what that means for a large batch.

    KERAS_BACKEND=jax python benchmarks/scaling.py
    KERAS_BACKEND=tensorflow python benchmarks/scaling.py

The same step of SemPPL (recipe digits, 96 images) on 1, 2 and 4 virtual devices, each
count in a process of its own. They share this machine's cores, so that there is no
speed to be gained: what counts is how many collective operations the compiled step has,
and how many bytes their results have on each device. They stand beside what a formula
expects, and with this formula follows an estimate on paper for a batch of 4096 images
of 224 px on a slice of TPUs and on a machine with eight GPUs.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import dataclasses
import itertools
import json
import math
import re
import statistics
import subprocess
import sys
import time

COUNTS = (1, 2, 4)
BYTES = {"f64": 8, "f32": 4, "s32": 4, "u32": 4, "bf16": 2, "f16": 2, "pred": 1}


@dataclasses.dataclass(frozen=True)
class Machine:
    """Devices for the estimate, by the figures that their makers publish.

    Args:
        name: str.
        devices: int.
        flops: of a device, per second, of bfloat16 products.
        bandwidth: bytes per second and direction that a device exchanges in a ring.
    """

    name: str
    devices: int
    flops: float
    bandwidth: float


# A core of a TPU v3 is half of a chip of 123 TFLOP/s, and a ring takes one of the
# chip's links of 656 Gbit/s; an A100 has 312 TFLOP/s and 300 GB/s each way.
MACHINES = (
    Machine("TPU v3-32 (32 cores)", 32, 61.5e12, 41e9),
    Machine("8 A100 (NVLink)", 8, 312e12, 300e9),
)
# What of the peak networks of this kind reach; an assumption.
UTILISATION = 0.4


def measure(devices, steps):
    """Seconds of a step and its collective operations, on so many virtual devices."""
    import keras
    import step_parts

    if keras.backend.backend() == "tensorflow":
        scope = tensorflow_scope(devices)
    else:
        distribution = keras.distribution.DataParallel() if devices > 1 else None
        keras.distribution.set_distribution(distribution)
        scope = None
    job = step_parts.digits()
    if scope is None:
        model = job.make_model()
    else:
        with scope:
            model = job.make_model(jit_compile=False)
    ends = []
    timer = keras.callbacks.LambdaCallback(
        # Turning the loss into a number waits for the step.
        on_train_batch_end=lambda batch, logs: ends.append(
            (float(logs["loss"]), time.perf_counter())
        )
    )
    images, labelled, labels = job.arrays(steps + 1)
    model.fit(
        images,
        (labelled, labels),
        batch_size=job.recipe.batch_size,
        labelled_batch_size=job.recipe.labelled_batch_size,
        callbacks=[timer],
        verbose=0,
    )
    if keras.backend.backend() == "tensorflow":
        collectives = collectives_of_graph(model, devices)
    else:
        collectives = collectives_of_program(model, job)
    return {
        "seconds": statistics.median(
            after - before for (_, before), (_, after) in itertools.pairwise(ends)
        ),
        "collectives": collectives,
        "expected": dataclasses.asdict(exchanged(model, job.images_per_step, devices)),
    }


def tensorflow_scope(devices):
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * devices,
    )
    names = [f"/cpu:{index}" for index in range(devices)]
    return tf.distribute.MirroredStrategy(names).scope()


def collectives_of_graph(model, devices):
    """Of one device in TensorFlow's graph: how many, and bytes of what they take."""
    function = model.train_function
    (concrete,) = function._list_all_concrete_functions()
    count, total = 0, 0
    for operation in concrete.graph.get_operations():
        if operation.type.startswith("Collective") and operation.outputs:
            tensor = operation.inputs[0]
            count += 1
            total += math.prod(tensor.shape) * tensor.dtype.size
    return {"operations": count // devices, "bytes": total // devices}


def collectives_of_program(model, job):
    """The same in the program that XLA made for JAX."""
    import jax
    import keras

    images, labelled, labels = job.arrays()
    batch = ((images, labelled), {"label": labels})
    distribution = keras.distribution.distribution()
    if distribution is not None:
        batch = jax.tree.map(
            lambda array: keras.distribution.distribute_tensor(
                array, distribution.get_data_layout(array.shape)
            ),
            batch,
        )
    state = tuple(
        [variable.value for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    program = jax.jit(model.train_step).lower(state, batch).compile().as_text()
    count, total = 0, 0
    pattern = (
        r"= (.*?) (?:all-reduce|all-gather|all-to-all|collective-permute)(-start)?\("
    )
    for result, _ in re.findall(pattern, program):
        count += 1
        for kind, shape in re.findall(r"([a-z]+\d*)\[([\d,]*)\]", result):
            size = math.prod(int(length) for length in shape.split(",") if length)
            total += size * BYTES[kind]
    return {"operations": count, "bytes": total}


@dataclasses.dataclass(frozen=True)
class Exchanged:
    """Bytes that each device gives to sums over all devices, in one step.

    Args:
        gradients: of the trained weights, float32.
        normalisation: two moments of each channel of each normalisation, forward and
            backward, for each of the networks' passes.
        targets: the target embeddings of the global batch.
    """

    gradients: int
    normalisation: int
    targets: int


def exchanged(model, images_per_step, devices):
    """What the step of SemPPL exchanges, by what it is."""
    import keras

    if devices == 1:
        return Exchanged(0, 0, 0)
    views = model.views
    passes = 1 + (views.num_small > 0 and views.small_size != views.large_size)
    channels = {}
    for name, encoder in (("online", model.online), ("target", model.target)):
        channels[name] = sum(
            layer.gamma.shape[0] if layer.scale else layer.moving_mean.shape[0]
            for layer in encoder._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
        )
    # Forward and backward of the online network, forward of the target.
    moments = 2 * (2 * passes * channels["online"] + channels["target"])
    weights = sum(math.prod(v.shape) for v in model.trainable_variables)
    targets = views.num_large * images_per_step * model.projection_dim
    return Exchanged(4 * weights, 4 * moments, 4 * targets)


def estimate():
    """Seconds of computing and of exchanging for the paper's batch, on paper."""
    import arithmetic
    import step_parts

    job = step_parts.imagenet(
        "ResNet50", large_size=224, small_size=96, batch_size=4096
    )
    model = job.make_model()
    flops = arithmetic.step_flops(model, job.images_per_step)
    lines = [
        "",
        f"On paper: ResNet-50, 4 x 224 + 2 x 96, a batch of {job.images_per_step} "
        f"images, {flops / 1e12:,.0f} TFLOP a step at {UTILISATION:.0%} of the peak",
    ]
    for machine in MACHINES:
        parts = exchanged(model, job.images_per_step, machine.devices)
        given = parts.gradients + parts.normalisation + parts.targets
        # A ring passes every byte on twice, but for the device's own part.
        passed = 2 * (machine.devices - 1) / machine.devices * given
        computing = flops / (machine.devices * machine.flops * UTILISATION)
        exchanging = passed / machine.bandwidth
        lines.append(
            f"  {machine.name:22} computing {computing:6.2f} s, exchanging "
            f"{given / 2**20:,.0f} MiB {exchanging * 1000:5.1f} ms, "
            f"{exchanging / computing:.1%} of it"
        )
    lines.append(
        f"  of these MiB: gradients {parts.gradients / 2**20:.0f}, normalisation "
        f"{parts.normalisation / 2**20:.1f}, target embeddings "
        f"{parts.targets / 2**20:.0f}"
    )
    print("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=5, help="of which a time is taken")
    parser.add_argument("--devices", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.devices:
        print(json.dumps(measure(arguments.devices, arguments.steps)))
        return
    print(
        f"{os.environ['KERAS_BACKEND']}: recipe digits, 96 images a step\n"
        "devices  s/step  operations      MiB   expected MiB: gradients, "
        "normalisation, targets"
    )
    for devices in COUNTS:
        result = measured_elsewhere(devices, arguments.steps)
        collectives = result["collectives"]
        expected = [value / 2**20 for value in result["expected"].values()]
        print(
            f"{devices:7} {result['seconds']:7.2f} {collectives['operations']:11} "
            f"{collectives['bytes'] / 2**20:8.1f} {sum(expected):14.1f}: "
            + ", ".join(f"{value:.2f}" for value in expected),
            flush=True,
        )
    estimate()


def measured_elsewhere(devices, steps):
    """`measure` in a process of its own, with so many virtual devices."""
    output = subprocess.run(
        [sys.executable, __file__, "--devices", str(devices), "--steps", str(steps)],
        env={
            **os.environ,
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        },
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    return json.loads(output.splitlines()[-1])


if __name__ == "__main__":
    main()
