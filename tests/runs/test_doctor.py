"""What `semppl doctor` finds, where packages and backends are missing or broken."""

import json
import os
import subprocess
import sys
import textwrap
import types
import warnings

import pytest

from semppl_keras import tested_keras
from semppl_keras.runs import devices, diagnosing
from semppl_keras.runs.features import FEATURES, Feature
from semppl_keras.runs.results.diagnosis import Diagnosis
from semppl_keras.version import __version__

pytestmark = pytest.mark.any_backend

FOUND = {
    "tensorflow": {"devices": [{"kind": "CPU", "name": None, "memory": None}]},
    "jax": {"problem": "it ends with status 1: ImportError: no jaxlib"},
    "torch": {"devices": [{"kind": "GPU", "name": "H100", "memory": 80 * 10**9}]},
}


@pytest.fixture
def asked(monkeypatch):
    """Backends that were asked; all of them are installed."""
    names = []

    def devices_of(backends):
        names.extend(backends)
        return FOUND

    monkeypatch.setattr(diagnosing, "devices_of", devices_of)
    monkeypatch.setattr(diagnosing, "installed_backends", lambda: [*FOUND])
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    return names


def test_all_is_on_one_screen(asked, capsys):
    told = diagnosing.doctor()
    screen = capsys.readouterr().out
    assert asked == [*FOUND]
    assert screen == f"{told.screen()}\n"
    lines = screen.splitlines()
    assert len(lines) < 40
    assert f"semppl_keras {__version__}, in " in lines[0]
    (used,) = (line for line in lines if line.startswith("* "))
    assert used.startswith("* torch ")
    assert used.endswith("GPU H100 (80.0 GB)")
    assert "cannot be imported: it ends with status 1: ImportError: no jaxlib" in screen
    assert "WRONG" not in screen
    for feature in FEATURES:
        assert feature.name in screen


def test_a_program_reads_it_as_json(asked, capsys):
    told = diagnosing.doctor(json=True)
    assert json.loads(capsys.readouterr().out) == told
    assert told["backends"]["torch"]["devices"] == FOUND["torch"]["devices"]
    assert diagnosing.doctor(json=True, verbose=0).keys() == told.keys()
    assert capsys.readouterr().out == ""


def test_what_keeps_commands_from_working_is_told(asked, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    monkeypatch.setattr(tested_keras, "NEWEST", (3, 0))
    monkeypatch.setattr(diagnosing, "is_installed", lambda name: name != "scipy")
    # What is imported already needs no check.
    monkeypatch.delitem(sys.modules, "keras")
    told = diagnosing.doctor(verbose=0)
    assert isinstance(told, Diagnosis)
    missing, newer, backend = told.problems()
    assert missing == "Not installed: scipy."
    assert "is newer than what was tested" in newer
    assert backend.startswith("KERAS_BACKEND must name a backend that trains here")
    assert all(f"WRONG: {problem}" in told.screen() for problem in told.problems())


@pytest.mark.parametrize(
    ("feature", "missing"),
    [
        (Feature("", ("json", "no_such_module"), ""), ["no_such_module"]),
        (Feature("", ("json",), ""), []),
        (Feature("", ("PIL",), "", image_format="CLAY"), ["CLAY in PIL"]),
        (Feature("", ("PIL",), "", image_format="PNG"), []),
    ],
)
def test_what_a_feature_lacks(feature, missing):
    assert feature.missing() == missing


def test_a_backend_is_asked_in_a_process_of_its_own(tmp_path, monkeypatch):
    """One that ends the process is told; a file in the working folder is not asked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "torch.py").write_text("raise SystemExit('the working folder')\n")
    library = tmp_path / "library"
    library.mkdir()
    (library / "jax.py").write_text(
        "import atexit\n"
        "from types import SimpleNamespace as one\n"
        "atexit.register(print, 'goodbye')\n"
        "def local_devices():\n"
        "    stats = lambda: {'bytes_limit': 5}\n"
        "    print('a line of its own')\n"
        "    return [one(platform='gpu', device_kind='X', memory_stats=stats)]\n"
    )
    (library / "tensorflow.py").write_text("import os\nos.abort()\n")
    (library / "torch.py").write_text("raise OSError('no libfoo.so')\n")
    monkeypatch.setenv("PYTHONPATH", str(library))
    told = devices.devices_of(["tensorflow", "jax", "torch"])
    assert told["jax"] == {"devices": [{"kind": "GPU", "name": "X", "memory": 5}]}
    assert "it ends with status -" in told["tensorflow"]["problem"]
    assert told["torch"]["problem"] == "it ends with status 1: OSError: no libfoo.so"


@pytest.mark.parametrize(
    "library",
    ["import os\nos._exit(0)\n", "print('semppl_devices:[')\nraise SystemExit\n"],
)
def test_a_backend_that_ends_without_an_answer_is_told(library, tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text(library)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    told = devices.devices_of(["torch"])
    assert told == {"torch": {"problem": "it ends without an answer"}}


WITHOUT = """
import sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = classmethod(
    lambda cls, name, *rest: None if name in {missing!r} else find(name, *rest)
)
from semppl_keras.cli import main
assert main(["doctor", *sys.argv[1:]]) == 0
assert "keras" not in sys.modules
"""


def test_the_command_works_without_any_backend():
    missing = ("keras", "tensorflow", "jax", "torch", "numpy")
    environment = {**os.environ}
    environment.pop("KERAS_BACKEND", None)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(missing=missing), "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["keras"]["version"] is None
    assert told["backends"]["jax"] == {"version": None}
    assert told["backend"]["problem"].startswith("No backend is installed")
    assert Diagnosis(told).problems()[0] == "Not installed: keras, numpy."


@pytest.mark.parametrize(
    ("version", "warned"),
    [("3.13.0", False), ("3.15.9", False), ("3.16.0", True), ("4.0.dev1", True)],
)
def test_a_newer_keras_is_told_once_with_both_versions(version, warned):
    keras = types.SimpleNamespace(__version__=version)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        tested_keras.warn_of_newer_keras(keras)
    assert len(told) == warned
    if warned:
        message = str(told[0].message)
        assert f"Keras {version} is newer" in message
        assert f"to {tested_keras.version_text(tested_keras.NEWEST)}" in message
        assert "pip install 'keras<3.16'" in message


@pytest.mark.parametrize("first", ["keras", "semppl_keras"])
def test_the_warning_comes_when_both_are_imported(first, tmp_path):
    """Before Keras' own backend is there: of a stand-in for a Keras to come."""
    (tmp_path / "keras.py").write_text(
        "__version__ = '99.0.0'\nclass saving:\n    get_custom_objects = dict\n"
    )
    other = {"keras": "semppl_keras", "semppl_keras": "keras"}[first]
    code = f"""
    import {first}
    print("between")
    import {other}
    import keras, semppl_keras
    """
    paths = [str(tmp_path), os.path.dirname(os.path.dirname(diagnosing.__file__))]
    paths[1] = os.path.dirname(paths[1])
    done = subprocess.run(
        [sys.executable, "-P", "-u", "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    assert done.stdout.count("Keras 99.0.0 is newer") == 1
    assert done.stdout.startswith("between")
