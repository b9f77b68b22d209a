"""The benchmarks in small: that they run, and that what they print adds up."""

import ast
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
from toys import slow_on_jax

from semppl_keras.backbones import ResNet18, ResNet50
from semppl_keras.networks import projector_and_predictor

ROOT = pathlib.Path(__file__).parent.parent
BACKEND = keras.backend.backend()


def benchmark(name):
    """A file of benchmarks/ as a module."""
    path = ROOT / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments, fails=False, **environment):
    """What a benchmark prints, or its errors where it is to fail."""
    # What JAX compiles runs a few times; torch's threads would wait for each other.
    environment |= {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "OMP_NUM_THREADS": "1"}
    script, *arguments = arguments
    path = os.pathsep.join(
        [environment.pop("PYTHONPATH", ""), str(ROOT), os.environ.get("PYTHONPATH", "")]
    )
    finished = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *map(str, arguments)],
        env={**os.environ, **environment, "PYTHONPATH": path.strip(os.pathsep)},
        capture_output=True,
        text=True,
    )
    assert (finished.returncode != 0) == fails, finished.stderr[-2000:]
    return finished.stderr if fails else finished.stdout


def percentages(output):
    """The shares of a step by their titles."""
    lines = re.findall(r"^  (.+?) +(-?\d+\.\d+)%$", output, re.MULTILINE)
    return {title.split(",")[0].split(":")[0]: float(share) for title, share in lines}


def check_table(output):
    shares = percentages(output)
    assert set(shares) == {
        "views",
        "online network",
        "target network",
        "memory and votes",
        "loss",
        "optimiser",
        "target's moving average",
        "rest",
        "host",
        "sum",
    }
    assert shares.pop("sum") == pytest.approx(100)
    assert sum(shares.values()) == pytest.approx(100, abs=0.1)
    measured = {t: s for t, s in shares.items() if t not in ("rest", "host")}
    assert min(measured.values()) > 0
    assert float(re.search(r"queue alone.* (\d+\.\d+)%", output)[1]) > 0


@pytest.mark.slow
def test_a_step_against_its_irreducible_work(tmp_path):
    file = tmp_path / "seconds.json"
    output = run(
        "step.py", "--config", "digits", "--rounds", 2, "--least-seconds", 0,
        "--json", file,
    )  # fmt: skip
    check_table(output)
    seconds = json.loads(file.read_text())
    assert all(len(values) == 2 for values in seconds.values())
    assert min(min(values) for values in seconds.values()) > 0
    full, lean = (sorted(seconds[name]) for name in ("full", "lean"))
    ratio = float(re.search(r"^ratio +([\d.]+)", output, re.MULTILINE)[1])
    assert ratio == pytest.approx(sum(full) / sum(lean), abs=1e-3)
    assert BACKEND in output.splitlines()[0]


@pytest.mark.any_backend
def test_the_command_for_a_gpu_is_not_for_tensorflow():
    finished = run("gpu.py", fails=True, KERAS_BACKEND="tensorflow")
    assert "set KERAS_BACKEND to jax or torch" in finished


# TensorFlow is not among its backends: there JAX is asked.
@pytest.mark.slow
def test_the_command_for_a_gpu(tmp_path):
    backend = "jax" if BACKEND == "tensorflow" else BACKEND
    absent = tmp_path / "tensorflow.py"
    absent.write_text("raise ImportError('It is not needed.')\n")
    output = run(
        "gpu.py", "--backbone", "SmallResNet", "--large-size", 8, "--small-size", 4,
        "--batch", 16, "--max-batch", 16, "--dtype", "float32", "--matrix", 256,
        "--rounds", 1, "--least-seconds", 0,
        PYTHONPATH=str(tmp_path),
        KERAS_BACKEND=backend,
    )  # fmt: skip
    check_table(output)
    assert output.startswith("CPU; " + backend)
    assert "largest batch that fits: 16 (where the search ends)" in output
    found = re.search(
        r"batch +16: +([\d.]+) images/s, +([\d.]+) ms a step, ([\d.]+) TFLOP/s, "
        r"([\d.]+)% of the product's",
        output,
    )
    rate, milliseconds, flops, share = map(float, found.groups())
    ceiling = float(re.search(r"float32: ([\d.]+) TFLOP/s", output)[1])
    assert rate == pytest.approx(16e3 / milliseconds, rel=0.01)
    assert flops == pytest.approx(share / 100 * ceiling, rel=0.1, abs=2e-3)


@pytest.mark.any_backend
def test_importing_the_package_leaves_tensorflow_alone():
    program = "import sys, semppl_keras; print('tensorflow' in sys.modules)"
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert finished.stdout.strip() == "False", finished.stderr[-2000:]


@pytest.mark.any_backend
@pytest.mark.parametrize("folder", ["benchmarks", "examples"])
def test_what_they_import_of_the_package_is_there(folder):
    found = 0
    for path in sorted((ROOT / folder).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = getattr(node, "module", None) or ""
            if isinstance(node, ast.ImportFrom) and module.startswith("semppl_keras"):
                for alias in node.names:
                    found += 1
                    there = hasattr(importlib.import_module(module), alias.name)
                    # A module that nothing has imported yet is no attribute.
                    there = there or importlib.util.find_spec(f"{module}.{alias.name}")
                    assert there, f"{path.name}:{node.lineno}: {alias.name}"
    assert found


@pytest.mark.any_backend
def test_the_search_for_the_largest_batch():
    largest = benchmark("gpu").largest
    for capacity in (16, 40, 100, 255, 256, 257, 700, 5000):
        tried = []

        def fits(size, capacity=capacity, tried=tried):
            tried.append(size)
            return {"batch": size} if size <= capacity else None

        found, result = largest(fits, first=256, limit=4096)
        assert result == {"batch": found}
        assert found <= capacity
        # Within an eighth of the gap, or of the limit itself.
        assert found == min(capacity, 4096) or found >= capacity * 8 / 9
        assert len(tried) == len(set(tried)) <= 10
    assert largest(lambda size: None, first=256, limit=4096) == (None, None)


@pytest.mark.any_backend
def test_out_of_memory_is_told_from_other_errors():
    gpu = benchmark("gpu")
    for text in (
        "jax.errors.JaxRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "RuntimeError: DefaultCPUAllocator: can't allocate memory",
    ):
        assert gpu.says_out_of_memory(text)
    assert not gpu.says_out_of_memory("ValueError: `views` must have two views")


def resnet_multiply_adds(size, channels, blocks, basic):
    """Table 1 of arXiv 1512.03385 by hand: stem and maximum of stride 2."""
    size //= 2
    total = 49 * channels * 64 * size**2
    size //= 2
    width = 64
    for stage, count in enumerate(blocks):
        filters = 64 * 2**stage
        for block in range(count):
            before = size
            if stage and not block:
                size //= 2
            place = size**2
            if basic:
                total += place * 9 * (width * filters + filters**2)
                out = filters
            else:
                out = 4 * filters
                total += before**2 * width * filters
                total += place * (9 * filters**2 + filters * out)
            if width != out:
                total += place * width * out
            width = out
    return total


@pytest.mark.any_backend
@slow_on_jax
def test_multiplications_are_those_counted_by_hand():
    multiply_adds = benchmark("arithmetic").multiply_adds
    resnet50 = multiply_adds(ResNet50(), (224, 224, 3))
    assert resnet50 == resnet_multiply_adds(224, 3, (3, 4, 6, 3), basic=False)
    # What the literature calls 4.1 billion, less its classifier of 2,048 x 1,000.
    assert resnet50 == 4_087_136_256
    resnet18 = multiply_adds(ResNet18(), (64, 64, 3))
    assert resnet18 == resnet_multiply_adds(64, 3, (2, 2, 2, 2), basic=True)
    projector, predictor = projector_and_predictor(40, 6)(50, 0, 1)
    assert multiply_adds(projector, (50,)) == 50 * 40 + 40 * 6
    assert multiply_adds(predictor, (6,)) == 6 * 40 + 40 * 6
    other = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.DepthwiseConv2D(3)])
    with pytest.raises(ValueError, match="Conv2D and Dense.*DepthwiseConv2D"):
        multiply_adds(other, (8, 8, 1))


@pytest.mark.any_backend
def test_accuracies_without_training(tmp_path):
    rows = ("graph_hog", "graph_pixels", "svm")
    options = ("--labels-per-class", 4, "--seeds", 0, "--results", tmp_path / "all")
    output = run("accuracy.py", "digits", "--rows", *rows, *options)
    runs = json.loads((tmp_path / "all").read_text())
    assert set(runs) == {f"{row}/4/0" for row in rows}
    for name, values in runs.items():
        assert 0.5 < values[name.partition("/")[0]] < 1
        assert values["cpu_seconds"] >= 0
    assert "| HOG, label propagation | " in output


@pytest.mark.any_backend
def test_a_graph_is_not_brought_to_how_many_labels_there_are():
    output = run("unequal_labels.py", "digits", "--seeds", 20)
    *_, by_labels, equal, alike, true = [
        [float(cell.split("/")[0]) for cell in line.split("|")[2:-1]]
        for line in output.splitlines()
        if line.startswith("| ") and "---" not in line and "brought" not in line
    ]
    # Of equally many labels all say the same; of 30, 1 and eight times 4 they do not.
    assert by_labels[:3] == equal[:3] == pytest.approx(alike[:3], abs=3)
    assert alike[3] > by_labels[3] + 10
    assert len(true) == 4


@pytest.mark.any_backend
def test_where_semppl_is_behind_stands_first(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    accuracy = benchmark("accuracy")
    results = types.SimpleNamespace(
        runs={
            "graph_hog/4/0": {"graph_hog": 0.6, "cpu_seconds": 12.3},
            "SemPPL/4/0": {"knn": 0.7, "linear": 0.65, "cpu_seconds": 100.0},
            "SemPPL/4/1": {"knn": 0.8, "linear": 0.65, "cpu_seconds": 120.0},
            "graph_hog/10/0": {"graph_hog": 0.9, "cpu_seconds": 12.3},
            "SemPPL/10/0": {"knn": 0.7, "linear": 0.75, "cpu_seconds": 100.0},
            "SemPPL+fixmatch/10/0": {"SemPPL+fixmatch": 0.8, "cpu_seconds": 150.0},
        }
    )
    study = types.SimpleNamespace(labels_per_class=(4, 10, 60))
    assert accuracy.standing(study, results, [0, 1]).splitlines() == [
        "- 10 labels a class: SemPPL is behind, 80.0 (SemPPL, then FixMatch) to 90.0 "
        "(HOG, label propagation)",
        "- 4 labels a class: SemPPL is ahead, 75.0 (SemPPL, nearest in its memory) to "
        "60.0 (HOG, label propagation)",
    ]
    table = accuracy.objectives_table(study, results, [0, 1]).splitlines()
    assert table[0] == "| labels per class | 4 | 10 | 60 | CPU s |"
    assert "| HOG, label propagation | 60.0 | 90.0 |  | 12 |" in table
    assert (
        "| SemPPL, nearest in its memory | 75.0 ± 7.1 | 70.0 |  | 100 to 120 |" in table
    )


@pytest.mark.slow
def test_the_cost_of_consistency_training(tmp_path):
    path = tmp_path / "seconds.json"
    output = run(
        *("consistency.py", "--methods", "fixmatch", "simmatch", "--size", 8),
        *("--labelled", 4, "--steps", 1, "--rounds", 2, "--json", path),
    )
    seconds = json.loads(path.read_text(encoding="utf-8"))
    assert list(seconds) == ["supervised", "fixmatch", "simmatch"]
    lines = re.findall(r"^(\w+) +([\d.]+) ms +([\d.]+)$", output, re.MULTILINE)
    for (name, step, ratio), taken in zip(lines, seconds.values(), strict=True):
        assert taken == seconds[name]
        assert float(step) == pytest.approx(500 * sum(taken), abs=0.06)
        assert (float(ratio) == 1) == (name == "supervised")


@pytest.mark.slow
def test_prediction_beside_keras():
    arguments = ("--network", "resnet18", "--size", 16, "--images", 8, "--batch", 4)
    output = run("inference.py", *arguments, "--rounds", 1, fails=BACKEND != "torch")
    if BACKEND == "torch":
        assert float(re.search(r"greatest difference (\S+) of", output)[1]) < 1e-4
        assert len(re.findall(r" images a processor second +\d+ MiB", output)) == 2
    else:
        assert "Set KERAS_BACKEND=torch" in output


@pytest.mark.any_backend
def test_without_lightly_there_is_nothing_to_compare_with(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    peers = benchmark("peers")
    assert peers.parsed(["--backends", "torch"]).backends == ["torch"]
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r'lightly cannot.*install "lightly==1\.6'):
        peers.check_lightly()


@pytest.mark.any_backend
def test_ratios_are_to_the_quicker_lightly(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    peers = benchmark("peers")
    seconds = {
        "lightly": {"wall": [4, 5, 6], "processor": [8, 2, 2]},
        "lightly, channels-last": {"wall": [3, 2, 4], "processor": [9, 9, 9]},
        "torch": {"wall": [1, 4, 4], "processor": [4, 4, 1]},
    }
    found = peers.ratios(seconds)
    assert found == {"wall": {"torch": 1.0}, "processor": {"torch": 2.0}}
    assert json.loads(peers.last_line(found)) == {
        "torch_ratio": 1.0,
        "torch_processor_ratio": 2.0,
    }
    kept = ["lightly, memory kept"]
    seconds |= {kept[0]: {"wall": [2, 2, 4], "processor": [2, 2, 2]}}
    to_kept = peers.ratios(seconds, lightly=kept)
    assert json.loads(peers.last_line(found, to_kept)) == {
        "torch_ratio": 1.0,
        "torch_processor_ratio": 2.0,
        "torch_ratio_to_kept": 1.0,
        "torch_processor_ratio_to_kept": 0.5,
    }


@pytest.mark.slow
@slow_on_jax
def test_a_side_of_the_comparison_takes_its_turn(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    sizes = ["--batch", 2, "--steps", 1, "--size", 16]
    side = benchmark("turns").Program("peer_simclr.py", sizes, threads=1)
    try:
        assert side.names == [BACKEND]
        seconds = side.turn(BACKEND)
    finally:
        side.close()
    assert set(seconds) == {"wall", "processor"}
    assert min(seconds.values()) > 0


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "torch", reason="both sides are torch's")
def test_fixmatch_beside_plain_pytorch():
    output = run(
        *("consistency_peers.py", "--size", 8, "--labelled", 4),
        *("--steps", 1, "--rounds", 1),
    )
    *_, ours, plain, last = output.splitlines()
    rates = [float(re.search(r"([\d.]+) images/s", line)[1]) for line in (ours, plain)]
    ratio = json.loads(last)["fixmatch_ratio"]
    assert ratio == pytest.approx(rates[0] / rates[1], rel=0.02)


@pytest.mark.any_backend
def test_the_benchmark_of_labels_compares_on_the_same_labels(tmp_path):
    labels_of = benchmark("labels")
    labels_of.LEAST, labels_of.MANY = 15, 12
    generator = np.random.default_rng(0)
    truth = np.repeat(np.arange(3), 30)
    rows = np.eye(6)[truth] + 0.2 * generator.normal(size=(90, 6))
    path = tmp_path / "features.npz"
    np.savez(
        path,
        features=rows[::2].astype("float32"),
        labels=truth[::2],
        test_features=rows[1::2].astype("float32"),
        test_labels=truth[1::2],
        draw_0=np.arange(0, 45, 2),
    )
    of = labels_of.Features(path)
    given, wrong = labels_of.wrong_labels(of.labels, 3, 0)
    assert wrong.sum() == round(0.1 * 45)
    assert ((given != of.labels) == wrong).all()
    counts = np.bincount(of.labels[labels_of.unequal_labels(of, 0, 0)])
    assert sorted(counts)[::2] == [3, 12]
    found = labels_of.suspects_found(of, 0, 0)
    assert found["semppl check"] == 2
    for accuracy, balanced in labels_of.with_unequal_labels(of, 0, 0).values():
        assert 50 < balanced <= accuracy + 1e-9 <= 100 + 1e-9
    table = labels_of.table("found", {0: found, 1: found})
    assert "| semppl check | 2.0 | 2.0 | 2.0 | 0.0 |" in table
