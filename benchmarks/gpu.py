"""What a GPU makes of the paper's training: images per second, and use of its units.

    KERAS_BACKEND=jax python benchmarks/gpu.py
    KERAS_BACKEND=torch python benchmarks/gpu.py

ResNet-50, 4 views of 224 px and 2 of 96 px, bfloat16; TensorFlow is not needed. At 256
images a step and at the largest batch that fits: images per second, and the share
that the arithmetic of the networks has of what a large product of matrices reaches in
the same run. At 256 also where the time goes. Each batch has a process of its own, so
that none finds the memory of another; the largest is found by doubling, then by
halving the gap.

To try it on a processor:

    KERAS_BACKEND=jax python benchmarks/gpu.py --backbone ResNet18 --large-size 32 \
        --small-size 16 --batch 16 --max-batch 32 --dtype float32 --matrix 512
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
# JAX takes three quarters otherwise.
os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.94")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import signal
import statistics
import subprocess
import sys

# What JAX, torch on a GPU and torch on a processor say.
OUT_OF_MEMORY = ("resource_exhausted", "out of memory", "can't allocate memory")
MARK = "measured: "


# -- one process per batch ----------------------------------------------------


def measure(arguments):
    """What a process of its own is asked to measure; a dict."""
    import keras

    keras.config.set_dtype_policy(arguments.dtype)
    task = {"ceiling": ceiling, "batch": at_batch, "parts": in_parts}[arguments.task]
    return task(arguments)


def ceiling(arguments):
    """Operations per second of a product of two large matrices, and the device."""
    import keras
    from compiled import Compiled, backend_version, device_name
    from step_parts import in_turn, medians, repeated

    size = arguments.matrix
    dtype = keras.config.dtype_policy().compute_dtype
    matrices = [
        keras.ops.cast(keras.random.normal((size, size), seed=seed), dtype)
        for seed in (0, 1)
    ]
    product = Compiled(
        keras.ops.matmul, [], jit_compile=keras.backend.backend() == "jax"
    )
    functions = {"product": repeated(product, *matrices)}
    seconds = medians(in_turn(functions, arguments.rounds, arguments.least_seconds))[
        "product"
    ]
    return {
        "flops": 2 * size**3 / seconds,
        "dtype": dtype,
        "device": device_name(),
        "versions": f"{backend_version()}, Keras {keras.__version__}",
    }


def at_batch(arguments):
    """Seconds of a step."""
    from arithmetic import step_flops
    from step_parts import Step, in_turn

    step = Step(job_of(arguments))
    functions = {"full": step.full}
    seconds = in_turn(functions, arguments.rounds, arguments.least_seconds)["full"]
    return {
        "batch": arguments.batch,
        "seconds": statistics.median(seconds),
        "flops": step_flops(step.model, arguments.batch),
    }


def in_parts(arguments):
    """Where the time goes."""
    from step_parts import Step, in_turn, table

    step = Step(job_of(arguments))
    seconds = in_turn(step.functions(), arguments.rounds, arguments.least_seconds)
    return {"table": table(seconds)}


def job_of(arguments):
    from step_parts import imagenet

    return imagenet(
        arguments.backbone,
        large_size=arguments.large_size,
        small_size=arguments.small_size,
        batch_size=arguments.batch,
        labelled_share=0.1,
    )


def says_out_of_memory(text):
    return any(words in text.lower() for words in OUT_OF_MEMORY)


# -- the run ------------------------------------------------------------------


def in_process(arguments, task, batch):
    """What `measure` gives in a process of its own; None where memory ran out.

    Raises:
        RuntimeError: if the process fails otherwise.
    """
    options = {**vars(arguments), "task": task, "batch": batch}
    command = [sys.executable, __file__, "--measure", json.dumps(options)]
    finished = subprocess.run(command, capture_output=True, text=True)
    for line in reversed(finished.stdout.splitlines()):
        if line.startswith(MARK):
            return json.loads(line.removeprefix(MARK))
    # The kernel kills what takes more memory than the machine has.
    if finished.returncode == -signal.SIGKILL or says_out_of_memory(finished.stderr):
        return None
    raise RuntimeError(
        f"Measuring {task} at batch {batch} failed with status "
        f"{finished.returncode}:\n{finished.stderr[-3000:]}"
    )


def largest(fits, first, limit, least=16, steps=3):
    """The largest number that fits, by doubling, then by halving the gap.

    Args:
        fits: function of an int, what was measured, or None where it does not fit.
        first: int, to start from.
        limit: int, not gone beyond.
        least: int, not gone below.
        steps: int, how often the gap is halved: 3 leave an eighth of it.

    Returns:
        The number and what was measured; None and None if not even the least fits.
    """
    good, found, bad = None, None, None
    size = max(least, min(first, limit))
    while True:
        result = fits(size)
        if result is None:
            bad = size
            if good is not None or size == least:
                break
            size = max(least, size // 2)
        else:
            good, found = size, result
            if bad is not None or size >= limit:
                break
            size = min(2 * size, limit)
    for _ in range(steps):
        if good is None or bad is None or bad - good < 2:
            break
        size = (good + bad) // 2
        result = fits(size)
        if result is None:
            bad = size
        else:
            good, found = size, result
    return good, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--backbone", default="ResNet50", help="a function of semppl_keras.backbones"
    )
    parser.add_argument("--large-size", type=int, default=224, help="px")
    parser.add_argument("--small-size", type=int, default=96, help="px")
    parser.add_argument("--batch", type=int, default=256, help="images a step")
    parser.add_argument(
        "--max-batch", type=int, default=8192, help="where the search ends"
    )
    parser.add_argument("--dtype", default="mixed_bfloat16", help="policy of Keras")
    parser.add_argument(
        "--matrix", type=int, default=8192, help="rows of the large product's matrices"
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--least-seconds", type=float, default=0.5, help="of a turn")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if os.environ["KERAS_BACKEND"] not in ("jax", "torch"):
        parser.error(
            "set KERAS_BACKEND to jax or torch. Received: "
            f"{os.environ['KERAS_BACKEND']}"
        )
    if arguments.measure:
        asked = argparse.Namespace(**json.loads(arguments.measure))
        print(MARK + json.dumps(measure(asked)))
        return
    report(arguments)


def report(arguments):
    """Measures and prints, from one process to the next."""
    best = in_process(arguments, "ceiling", batch=None)
    print(
        f"{best['device']}; {best['versions']}; {arguments.backbone}, 4 x "
        f"{arguments.large_size} px + 2 x {arguments.small_size} px, "
        f"{arguments.dtype}; medians of {arguments.rounds} turns"
    )
    print(
        f"product of {arguments.matrix} x {arguments.matrix} matrices, "
        f"{best['dtype']}: {best['flops'] / 1e12:.3f} TFLOP/s",
        flush=True,
    )

    def tell(result):
        rate = result["flops"] / result["seconds"]
        print(
            f"batch {result['batch']:5}: {result['batch'] / result['seconds']:9.1f} "
            f"images/s, {1e3 * result['seconds']:9.1f} ms a step, {rate / 1e12:.3f} "
            f"TFLOP/s, {100 * rate / best['flops']:.1f}% of the product's",
            flush=True,
        )

    tried = {}

    def at(batch):
        if batch not in tried:
            tried[batch] = in_process(arguments, "batch", batch)
            if tried[batch] is None:
                print(f"batch {batch:5}: does not fit", flush=True)
            else:
                tell(tried[batch])
        return tried[batch]

    batch, _ = largest(at, arguments.batch, arguments.max_batch)
    if batch is None:
        print("no batch fits")
        return
    reached = " (where the search ends)" if batch == arguments.max_batch else ""
    print(f"largest batch that fits: {batch}{reached}")

    batch = min(batch, arguments.batch)
    split = in_process(arguments, "parts", batch)
    if split is None:
        print(f"batch {batch}: no memory for the parts of the step beside it")
        return
    print(f"at batch {batch}:\n{split['table']}")


if __name__ == "__main__":
    main()
