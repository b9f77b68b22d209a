"""SimCLR of lightly and of this package: images per second, in turn.

    pip install "lightly==1.6.*"
    python benchmarks/peers.py

A ResNet-18 on two views of 64 px, batches of 64, augmentations included; on a GPU

    python benchmarks/peers.py --backends jax torch --depth 50 --size 224 \\
        --batch 256 --dtype bfloat16 --workers 16

with lightly once more on views that are made, which is its network's step alone. Each
side trains in a process of its own, one at a time, and each on its backend: lightly as
its documentation has it and with channels-last memory, of which the quicker counts, and
this package on torch and on TensorFlow. Both sides hold their images in memory, as
NumPy's arrays here and as Pillow's images there, and have torch take memory in large
pages. On a processor this package's `fit` has glibc keep memory between steps, too,
which nothing in lightly does; with `--kept` lightly stands there once more with
MALLOC_ variables that do the same for it. On a GPU all of them must fit beside each
other.

The ratios are ours over lightly's, medians over the turns: of images per second, and of
images per second of the processor's time, which hardly depends on what else the machine
does. Those that end in `_to_kept` are over lightly with these variables. The last line
is JSON.
"""

import argparse
import importlib.util
import json
import os
import statistics
import sys

from turns import Program

BACKENDS = ("torch", "tensorflow", "jax")
LIGHTLY = ("lightly", "lightly, channels-last")
# What `fit` of this package does by itself, see its training/kept_memory.py.
KEPT = ", memory kept"
KEEPING = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
CLOCKS = ("wall", "processor")
MISSING = (
    "It is lightly that is compared with, and {} cannot be imported. Install it beside "
    'torch: pip install "lightly==1.6.*", or, where that would change torch, pip '
    'install --no-deps "lightly==1.6.*" torchvision lightning-utilities.'
)


def parsed(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS[:2])
    parser.add_argument("--depth", type=int, choices=(18, 50), default=18)
    parser.add_argument("--batch", type=int, default=64, help="images a step")
    parser.add_argument("--size", type=int, default=64, help="px, of images and views")
    parser.add_argument("--steps", type=int, default=4, help="of each turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that load lightly's images"
    )
    parser.add_argument("--threads", type=int, help="default: what each side chooses")
    parser.add_argument(
        "--kept", action="store_true", help="lightly with memory kept, too"
    )
    return parser.parse_args(arguments)


def check_lightly():
    """Ends the program where there is nothing to compare with."""
    for name in ("lightly", "torchvision"):
        if importlib.util.find_spec(name) is None:
            raise SystemExit(MISSING.format(name))


def programs(arguments):
    """The side of each name, at work."""
    sizes = [
        *("--batch", arguments.batch),
        *("--steps", arguments.steps),
        *("--size", arguments.size),
        *("--depth", arguments.depth),
        *("--dtype", arguments.dtype),
    ]
    # What this package sets by itself, and anybody may.
    pages = {"THP_MEM_ALLOC_ENABLE": "1"}
    loading = ("--workers", arguments.workers)
    lightly, threads = ["peer_lightly.py", [*sizes, *loading]], arguments.threads
    sides = [Program(*lightly, threads, **pages)]
    if arguments.kept:
        lightly[1] = [*lightly[1], "--ending", KEPT]
        sides.append(Program(*lightly, threads, **pages, **KEEPING))
    for backend in arguments.backends:
        # JAX would take three quarters of a GPU's memory in advance.
        environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        environment["KERAS_BACKEND"] = backend
        sides.append(Program("peer_simclr.py", sizes, threads, **environment))
    return {name: side for side in sides for name in side.names}


def in_turn(sides, rounds):
    """The seconds of every turn, by side and clock."""
    seconds = {name: {clock: [] for clock in CLOCKS} for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            for clock, value in side.turn(name).items():
                seconds[name][clock].append(value)
    return seconds


def ratios(seconds, clocks=CLOCKS, lightly=LIGHTLY):
    """Ours over lightly's, by clock and backend: medians of the turns' ratios.

    Args:
        seconds: dict of side to dict of clock to list, as `in_turn` gives.
        clocks: those that are looked at.
        lightly: names of the sides of which the quickest is compared with.

    Returns:
        dict of clock to dict of backend to float.
    """
    found = {}
    for clock in clocks:
        best = min(lightly, key=lambda name: statistics.median(seconds[name][clock]))
        found[clock] = {
            backend: statistics.median(
                theirs / own
                for theirs, own in zip(
                    seconds[best][clock], seconds[backend][clock], strict=True
                )
            )
            for backend in BACKENDS
            if backend in seconds
        }
    return found


def last_line(of_clock, to_kept=None):
    """The ratios as JSON.

    Args:
        of_clock: what `ratios` gives.
        to_kept: the same, over lightly with memory kept; or None.
    """
    told = {}
    endings = {"wall": "ratio", "processor": "processor_ratio"}
    for found, over in ((of_clock, ""), (to_kept or {}, "_to_kept")):
        for clock, ending in endings.items():
            for backend, value in found.get(clock, {}).items():
                told[f"{backend}_{ending}{over}"] = round(value, 3)
    return json.dumps(told)


def main():
    arguments = parsed()
    check_lightly()
    print(
        f"SimCLR, ResNet-{arguments.depth}, two views of {arguments.size} px, "
        f"{arguments.batch} images a step, {arguments.dtype}, "
        f"{arguments.threads or 'default'} threads; {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}; medians of {arguments.rounds} turns",
        flush=True,
    )
    sides = programs(arguments)
    try:
        seconds = in_turn(sides, arguments.rounds)
    finally:
        for side in {id(side): side for side in sides.values()}.values():
            side.close()
    images = arguments.batch * arguments.steps
    # What the processes that load take is none of the time of the one that trains.
    clocks = CLOCKS[:1] if arguments.workers else CLOCKS
    titles = {"wall": "images/s", "processor": "images per processor's second"}
    print(f"| | {' | '.join(titles[clock] for clock in clocks)} |")
    print("| --- |" + " --- |" * len(clocks))
    for name, of_clock in seconds.items():
        rates = [images / statistics.median(of_clock[clock]) for clock in clocks]
        print(f"| {name} | {' | '.join(f'{rate:.1f}' for rate in rates)} |")
    to_kept = None
    if arguments.kept:
        to_kept = ratios(seconds, clocks, [name + KEPT for name in LIGHTLY])
    print(last_line(ratios(seconds, clocks), to_kept))


if __name__ == "__main__":
    sys.exit(main())
