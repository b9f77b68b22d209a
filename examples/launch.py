"""Starts a script in several processes on this machine, to try what many hosts do.

    python examples/launch.py --processes 2 examples/many_devices.py --epochs 1

Each process is told its place among the others, for JAX (JAX_COORDINATOR,
JAX_PROCESSES, JAX_PROCESS), for TensorFlow (TF_CONFIG) and for torch (RANK, WORLD_SIZE,
MASTER_ADDR and what else torchrun sets). What the first one prints is shown. If one
fails, the others are ended, its last lines are shown, and the exit status is its own.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time


def free_ports(count):
    """Ports of the loopback interface that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def start(command, index, ports, output):
    """One of the processes; the first one prints, the others into a file."""
    workers = [f"127.0.0.1:{port}" for port in ports]
    place = {
        "JAX_COORDINATOR": workers[0],
        "JAX_PROCESSES": str(len(workers)),
        "JAX_PROCESS": str(index),
        "TF_CONFIG": json.dumps(
            {
                "cluster": {"worker": workers},
                "task": {"type": "worker", "index": index},
            }
        ),
        "RANK": str(index),
        "LOCAL_RANK": str(index),
        "WORLD_SIZE": str(len(workers)),
        "LOCAL_WORLD_SIZE": str(len(workers)),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(ports[0]),
    }
    return subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, **place},
        stdout=None if index == 0 else output,
        stderr=None if index == 0 else subprocess.STDOUT,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="SCRIPT ...")
    arguments = parser.parse_args()
    if arguments.processes < 1 or not arguments.command:
        parser.error("one process or more, and a script to start, are needed")
    ports = free_ports(arguments.processes)
    with contextlib.ExitStack() as stack:
        outputs = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in ports]
        processes = [
            start(arguments.command, index, ports, output)
            for index, output in enumerate(outputs)
        ]
        for process in processes:
            stack.callback(process.kill)
        sys.exit(wait_for(processes, outputs))


def wait_for(processes, outputs):
    """The exit status of the first process that fails, or 0 once all have ended."""
    while True:
        statuses = [process.poll() for process in processes]
        if any(statuses):
            # Those that waited for it fail as well.
            time.sleep(1)
            for index, process in enumerate(processes):
                if process.poll():
                    outputs[index].seek(0)
                    lines = outputs[index].readlines()[-20:]
                    print(f"Process {index} failed:", *lines, flush=True)
            return next(status for status in statuses if status)
        if None not in statuses:
            return 0
        time.sleep(0.2)


if __name__ == "__main__":
    main()
