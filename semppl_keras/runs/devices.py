"""On which devices each backend would compute, asked in processes of their own.

Backends that are imported together take each other's memory, and one that is broken may
end the process.
"""

import json
import os
import subprocess
import sys
from collections.abc import Collection
from typing import Any

# What each answers: of each device its kind, what it is called, and the bytes of
# its memory where the backend tells them.
_QUESTIONS = {
    "tensorflow": """
import tensorflow as tf
details = tf.config.experimental.get_device_details
devices = [
    (one.device_type, details(one).get("device_name"), None)
    for one in tf.config.list_physical_devices()
]
""",
    "jax": """
import jax
devices = [
    (one.platform.upper(), one.device_kind, stats.get("bytes_limit"))
    for one in jax.local_devices()
    for stats in [one.memory_stats() or {}]
]
""",
    "torch": """
import torch
devices = [("CPU", None, None)]
if torch.cuda.is_available():
    for number in range(torch.cuda.device_count()):
        one = torch.cuda.get_device_properties(number)
        devices.append(("GPU", one.name, one.total_memory))
if torch.backends.mps.is_available():
    devices.append(("MPS", None, None))
""",
}
# By which the line of the answer is known: a backend may print before it, and at exit.
_MARK = "semppl_devices:"
_ANSWER = f"\nimport json\nprint()\nprint({_MARK!r} + json.dumps(devices))\n"

# They take no memory of a device that another process works with, and are silent.
_MODEST = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}

# The first import after an installation takes longest.
_SECONDS = 180


def devices_of(backends: Collection[str]) -> dict[str, dict[str, Any]]:
    """What backends say of the devices that they find.

    Args:
        backends: Names of "tensorflow", "jax" and "torch" that are installed.

    Returns:
        Of each a dict of `devices`, a list of dicts of `kind`, `name` and `memory`
        (bytes; None where it is not told), or of `problem`, a line of why there is no
        answer.
    """
    # Side by side: most of it is waiting for files.
    asked = {name: _ask(_QUESTIONS[name] + _ANSWER) for name in backends}
    return {name: _answer(process) for name, process in asked.items()}


def _ask(question: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        # Not from the working folder, where a file may be called like a package.
        [sys.executable, "-P", "-c", question],
        env={**os.environ, **_MODEST},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    try:
        told, errors = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"problem": f"no answer in {_SECONDS} seconds"}
    if process.returncode != 0:
        last = (errors.strip().splitlines() or ["it says nothing"])[-1].strip()
        return {"problem": f"it ends with status {process.returncode}: {last[:200]}"}
    answers = [line for line in told.splitlines() if line.startswith(_MARK)]
    try:
        found = json.loads(answers[-1].removeprefix(_MARK))
    except (IndexError, ValueError):
        return {"problem": "it ends without an answer"}
    return {
        "devices": [
            {"kind": kind, "name": name, "memory": memory}
            for kind, name, memory in found
        ]
    }
