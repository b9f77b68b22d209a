"""Programs that take turns: each in a process of its own, one at work at a time."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


class Program:
    """A file of this folder at work in a process of its own.

    Args:
        script: str, its name; it ends with `serve`.
        arguments: list of its arguments.
        threads: int, of each operation; None for what its libraries choose.
        environment: what else is set for it.
    """

    def __init__(self, script, arguments, threads=None, **environment):
        if threads is not None:
            environment |= dict.fromkeys(THREADS, str(threads))
        self.process = subprocess.Popen(
            [sys.executable, str(FOLDER / script), *map(str, arguments)],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # What it can do is ready, and warm.
        self.names = self._answer()

    def turn(self, name):
        """The seconds that one of its functions takes: wall and processor."""
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def _answer(self):
        for line in self.process.stdout:
            if line.startswith(">"):
                return json.loads(line[1:])
        raise SystemExit(f"{self.process.args[1]} ended: its error stands above.")


def serve(functions):
    """Runs functions by the names that come in, and tells what each call took.

    Args:
        functions: dict of name to function without arguments.
    """
    for function in functions.values():
        function()
    print(">" + json.dumps(list(functions)), flush=True)
    for line in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        functions[line.strip()]()
        seconds = {
            "wall": time.perf_counter() - wall,
            "processor": time.process_time() - processor,
        }
        print(">" + json.dumps(seconds), flush=True)
