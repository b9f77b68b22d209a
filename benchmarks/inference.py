"""Features by the package and by Keras' own prediction on torch, in turn.

    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/inference.py
    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/inference.py --network lite0 \\
        --size 224 --images 64

`ImageEmbedder.predict` beside `keras.Model.predict` of the same network, which is what
the package's own was before: seconds of the processor, medians of the turns, and the
ratio of the two within a turn. Memory is the peak of the process during a prediction
less what it held before; it is read from /proc: Linux. Statistics and scales of batch
normalisation are drawn, so that what comes out of the network is not nothing.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import argparse
import gc
import importlib.util
import pathlib
import statistics
import time

import keras
import numpy as np
from memory import memory_in_mib

from semppl_keras.backbones import ResNet18, ResNet50
from semppl_keras.networks import ImageEmbedder
from semppl_keras.views import MultiCrop

EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"


def lite0(size):
    """The network of examples/efficientnet_lite0.py, with random weights."""
    path = EXAMPLES / "efficientnet_lite0.py"
    spec = importlib.util.spec_from_file_location("efficientnet_lite0", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.efficientnet_lite0(image_size=size)


NETWORKS = {
    "resnet18": lambda size: ResNet18(input_shape=(size, size, 3)),
    "resnet50": lambda size: ResNet50(input_shape=(size, size, 3)),
    "lite0": lite0,
}


def randomised(network):
    """A network whose weights are of the size of trained ones."""
    draws = np.random.default_rng(0)
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([draws.uniform(0.5, 1.5, w.shape) for w in layer.weights])
        elif layer.weights and "conv" in type(layer).__name__.lower():
            kernel = layer.get_weights()[0]
            inputs = np.prod(kernel.shape[:2]) * (
                1 if "Depthwise" in type(layer).__name__ else kernel.shape[2]
            )
            values = draws.normal(size=kernel.shape) * np.sqrt(2 / inputs)
            layer.set_weights([values, *layer.get_weights()[1:]])
    return network


def seconds_of(function):
    begun = time.process_time()
    function()
    return time.process_time() - begun


def peak_of(function):
    """MiB that a call adds to what the process holds, at its peak."""
    gc.collect()
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    held = memory_in_mib("VmRSS")
    function()
    return memory_in_mib("VmHWM") - held


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--network", choices=NETWORKS, default="resnet18")
    parser.add_argument("--size", type=int, default=64, help="px of a side")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    if keras.backend.backend() != "torch":
        raise SystemExit("On other backends both are the same. Set KERAS_BACKEND=torch")
    size, count = arguments.size, arguments.images
    images = np.random.default_rng(0).uniform(size=(count, size, size, 3))
    images = images.astype("float32")
    views = MultiCrop(num_large=1, num_small=0, large_size=size, value_range=(0, 1))
    # Each has a network of its own: the package lays kernels out anew.
    by_keras, by_package = (
        ImageEmbedder(randomised(make(size)), views)
        for make in [NETWORKS[arguments.network]] * 2
    )
    options = {"batch_size": arguments.batch, "verbose": 0}
    functions = {
        "Keras": lambda: keras.Model.predict(by_keras, images, **options),
        "package": lambda: by_package.predict(images, **options),
    }
    # Before the others: memory that is given back and taken again is no new one.
    peaks = {name: peak_of(functions[name]) for name in ("package", "Keras")}
    first, second = (function() for function in functions.values())
    apart = np.abs(first - second).max() / np.abs(first).max()
    turns = [
        {name: seconds_of(function) for name, function in functions.items()}
        for _ in range(arguments.rounds)
    ]
    print(
        f"{arguments.network}, {count} images of {size} px, {arguments.batch} at once; "
        f"medians of {arguments.rounds} turns"
    )
    for name in functions:
        taken = statistics.median(turn[name] for turn in turns)
        print(
            f"  {name:<10}{count / taken:>8.1f} images a processor second"
            f"{peaks[name]:>8.0f} MiB"
        )
    ratios = sorted(turn["Keras"] / turn["package"] for turn in turns)
    print(
        f"  ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        f"; greatest difference {apart:.1e} of the greatest feature"
    )


if __name__ == "__main__":
    main()
