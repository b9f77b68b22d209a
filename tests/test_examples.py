"""The notebooks are what their .py files say, and run, as do the other examples."""

import gzip
import json
import pathlib
import re
import runpy
import subprocess
import sys

import keras
import numpy as np
import pytest

import semppl_keras

EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"


def _name(path):
    return path.stem


@pytest.mark.any_backend
@pytest.mark.parametrize("notebook", sorted(EXAMPLES.glob("*.ipynb")), ids=_name)
def test_notebooks_have_not_drifted_from_their_sources(notebook):
    import jupytext

    source = jupytext.read(notebook.with_suffix(".py"))
    generated = jupytext.read(notebook)
    assert [(cell.cell_type, cell.source) for cell in source.cells] == [
        (cell.cell_type, cell.source) for cell in generated.cells
    ]
    assert source.metadata["kernelspec"] == generated.metadata["kernelspec"]


@pytest.mark.any_backend
@pytest.mark.parametrize("notebook", sorted(EXAMPLES.glob("*.ipynb")), ids=_name)
def test_notebooks_begin_with_the_badge_and_what_installs_the_package(notebook):
    makers = runpy.run_path(str(EXAMPLES.parent / ".ci" / "notebooks.py"))
    source = notebook.with_suffix(".py").read_text(encoding="utf-8")
    assert makers["with_head"](source, notebook.stem) == source
    assert makers["address"]() in source


@pytest.mark.any_backend
@pytest.mark.parametrize("notebook", sorted(EXAMPLES.glob("*.ipynb")), ids=_name)
def test_notebooks_hold_all_outputs_of_a_run_or_none(notebook):
    assert notebook.stat().st_size < 300_000
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in code]
    assert counts in ([*range(1, len(code) + 1)], [None] * len(code))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert bool(outputs) == (None not in counts)
    assert not [one for one in outputs if one["output_type"] == "error"]


@pytest.mark.any_backend
def test_notebooks_were_run_with_what_colab_has():
    lines = (EXAMPLES.parent / ".ci" / "colab.txt").read_text(encoding="utf-8")
    pinned = dict(line.split("==") for line in lines.splitlines() if "==" in line)
    printed = [
        version
        for notebook in EXAMPLES.glob("*.ipynb")
        for version in re.findall(
            r"Keras (\d[\d.]*\d) on", notebook.read_text(encoding="utf-8")
        )
    ]
    assert printed
    assert set(printed) == {pinned["keras"]}


@pytest.mark.any_backend
def test_idx_files_become_an_npz(tmp_path):
    arrays = {}
    for name, stem in (("x", "images-idx3"), ("y", "labels-idx1")):
        for part, prefix in (("train", "train"), ("test", "t10k")):
            shape = (3, 2, 4) if name == "x" else (3,)
            array = np.arange(np.prod(shape), dtype="uint8").reshape(shape)
            header = b"\0\0\x08" + bytes([array.ndim])
            header += np.array(array.shape, ">u4").tobytes()
            path = tmp_path / f"{prefix}-{stem}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.tobytes()))
            arrays[f"{name}_{part}"] = array
    out = tmp_path / "data.npz"
    subprocess.run(
        [sys.executable, EXAMPLES / "idx_to_npz.py", tmp_path, out], check=True
    )
    with np.load(out) as written:
        assert sorted(written) == sorted(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(written[name], array)


@pytest.mark.slow
def test_two_processes_train_on_all_devices(tmp_path):
    launch = [sys.executable, EXAMPLES / "launch.py", "--processes", "2"]
    script = [EXAMPLES / "many_devices.py", "--epochs", "1"]
    done = subprocess.run(
        [*launch, *script, "--out", tmp_path / "model.keras"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert "2 device(s), last loss" in done.stdout
    model = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(model, semppl_keras.SemPPL)


@pytest.mark.any_backend
def test_the_launcher_fails_with_its_processes(tmp_path):
    (tmp_path / "fails.py").write_text(
        "import os, sys, time\n"
        "if os.environ['JAX_PROCESS'] == '0': time.sleep(600)\n"
        "sys.exit('the second one fails')\n"
    )
    done = subprocess.run(
        [sys.executable, EXAMPLES / "launch.py", tmp_path / "fails.py"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Process 1 failed: the second one fails" in done.stdout


@pytest.mark.slow
def test_the_main_job(tmp_path):
    command = [sys.executable, "-m", "semppl_keras.cli", "train", "--epochs", "10"]
    subprocess.run([*command, "--out", tmp_path / "run"], check=True)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["recipe"]["epochs"] == 10
    assert metrics["linear_accuracy"] > 0.93
    assert (
        metrics["linear_accuracy"] > metrics["supervised_logistic_regression_accuracy"]
    )


# What each notebook prints last, and what is expected of it.
RESULTS = {
    "colab_accelerators": ("linear probe", lambda accuracy: accuracy > 0.9),
    "export_and_serve": ("largest difference", lambda difference: difference < 1e-4),
    "own_folder": ("accuracy of what is served", lambda accuracy: accuracy > 0.92),
    "published_checkpoint": ("fine-tuned", lambda accuracy: accuracy > 0.9),
    "quickstart": ("linear probe", lambda accuracy: accuracy > 0.8),
    "simclrv2_three_steps": (
        "what the small network gains by the three steps",
        lambda gain: gain > 0.02,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("notebook", sorted(EXAMPLES.glob("*.ipynb")), ids=_name)
def test_notebooks_run(notebook, tmp_path):
    import nbclient
    import nbformat

    content = nbformat.read(notebook, as_version=4)
    nbclient.NotebookClient(
        content,
        timeout=3600,
        kernel_name="python3",
        # What it writes is written there.
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    text = "".join(
        output.get("text", "") for cell in content.cells if cell.cell_type == "code"
        for output in cell.outputs
    )  # fmt: skip
    what, holds = RESULTS[notebook.stem]
    last = text.strip().splitlines()[-1]
    name, _, figure = last.rpartition(": ")
    assert name == what
    assert holds(float(figure)), last
