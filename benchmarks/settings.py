"""What settings of `compile` and the optimiser do to the speed of `fit`.

    KERAS_BACKEND=tensorflow python benchmarks/settings.py
    KERAS_BACKEND=jax python benchmarks/settings.py --config resnet18

`steps_per_execution`, `jit_compile`, mixed_bfloat16 and the optimiser's
`gradient_accumulation_steps`, one at a time against what Keras does by itself. All of
them take turns; the ratios are of medians.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse

import keras
from compiled import BACKEND
from step import add_job_arguments, heading, make_job
from step_parts import Step, in_turn, medians


def settings(arguments):
    """Arguments of `Job.make_model` and a dtype policy for each row of the table."""
    stride, micro_batches = arguments.steps_per_execution, arguments.micro_batches
    rows = {"default": {}}
    if BACKEND != "torch":
        # Keras' trainer on torch has no other than 1.
        rows[f"steps_per_execution={stride}"] = {"steps_per_execution": stride}
    if BACKEND != "jax":
        # On JAX it is what Keras does by itself.
        rows["jit_compile=True"] = {"jit_compile": True}
    rows["mixed_bfloat16"] = {"dtype": "mixed_bfloat16"}
    rows[f"gradient_accumulation_steps={micro_batches}"] = {
        "accumulation": micro_batches
    }
    return rows


def step_of(job, dtype=None, **compile_arguments):
    """A `Step` of networks made under a dtype policy."""
    before = keras.config.dtype_policy()
    if dtype is not None:
        keras.config.set_dtype_policy(dtype)
    try:
        return Step(job, **compile_arguments)
    finally:
        keras.config.set_dtype_policy(before)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_job_arguments(parser)
    parser.add_argument("--steps-per-execution", type=int, default=10)
    parser.add_argument(
        "--micro-batches", type=int, default=4, help="gradient_accumulation_steps"
    )
    arguments = parser.parse_args()
    job = make_job(arguments)
    steps = {
        name: step_of(job, **setting) for name, setting in settings(arguments).items()
    }
    print(heading(steps["default"], arguments.rounds), flush=True)
    functions = {name: step.fit for name, step in steps.items()}
    seconds = medians(in_turn(functions, arguments.rounds, arguments.least_seconds))
    print("| setting | images/s | of the default |\n| --- | --- | --- |")
    for name, value in seconds.items():
        rate, ratio = job.images_per_step / value, seconds["default"] / value
        print(f"| {name} | {rate:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
