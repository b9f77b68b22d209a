#!/usr/bin/env python3
"""Makes the notebooks of examples/ from the .py files beside them.

    python .ci/notebooks.py               their first cell and badge, and the notebooks
    python .ci/notebooks.py --run NAME... these notebooks with the outputs of a real run
    python .ci/notebooks.py --run NAME... --within DIR   run in a folder with pictures

The address stands in pyproject.toml alone. A notebook whose cells have not changed
keeps its outputs.
"""

import argparse
import base64
import io
import os
import pathlib
import re
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"

# What a notebook needs beside the package.
EXTRAS = {"own_folder": "export,serve", "export_and_serve": "export,serve"}

_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
_COLAB = (
    "https://colab.research.google.com/github/{place}/blob/main/examples/{name}.ipynb"
)
_INSTALL_BEGINS = "# The package, where it is missing"
_INSTALL = """\
# %%
# The package, where it is missing, as on Colab and Kaggle: Keras and the backends that
# are there stay. A machine without any backend gets TensorFlow.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("semppl_keras") is None:
    backends = map(importlib.util.find_spec, ("tensorflow", "jax", "torch"))
    extras = {extras}
    address = "git+{address}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"semppl_keras[{{extras}}] @ {{address}}"], check=True)

# Without KERAS_BACKEND and without TensorFlow one of the others is taken.
from semppl_keras.runs.backend import choose_backend

choose_backend()

"""


def address():
    """Where the repository is, as pyproject.toml has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return project["project"]["urls"]["Repository"]


def with_head(text, name):
    """The source of a notebook with the badge under its title, and the first cell.

    Args:
        text: of the .py file.
        name: of the file, without its ending.
    """
    place = address().removeprefix("https://github.com/")
    link = _COLAB.format(place=place, name=name)
    badge = f"# [![Open in Colab]({_BADGE})]({link})\n#\n"
    header, title, *cells = re.split(r"^(?=# %%)", text, flags=re.MULTILINE)
    title = re.sub(r"^# \[!\[Open in Colab\].*\n#\n", "", title, flags=re.MULTILINE)
    line, empty, rest = title.partition("\n#\n")
    title = line + empty + badge + rest
    cells = [cell for cell in cells if _INSTALL_BEGINS not in cell]
    extras = EXTRAS.get(name)
    install = _INSTALL.format(
        address=address(),
        extras='"" if any(backends) else "tensorflow"'
        if extras is None
        else f'"{extras}" if any(backends) else "{extras},tensorflow"',
    )
    return "".join([header, title, install, *cells])


def make_notebook(source, run, within=None):
    """Writes the notebook of a source, with its outputs from before or of a run.

    Args:
        source: path of the .py file.
        run: whether it is run for its outputs.
        within: the folder that it is run in. None: a new one.
    """
    import jupytext
    import nbformat

    path = source.with_suffix(".ipynb")
    notebook = jupytext.read(source)
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    if path.exists():
        before = nbformat.read(path, as_version=4)
        _keep_outputs(before, notebook)
    if run:
        with tempfile.TemporaryDirectory() as new:
            _run(notebook, within or new)
    nbformat.write(notebook, path)


def _keep_outputs(before, notebook):
    same = [cell.source for cell in before.cells] == [
        cell.source for cell in notebook.cells
    ]
    for old, new in zip(before.cells, notebook.cells, strict=False):
        if old.source == new.source:
            new["id"] = old["id"]
        if same and new.cell_type == "code":
            new.outputs, new.execution_count = old.outputs, old.execution_count


def _run(notebook, folder):
    import nbclient

    # What TensorFlow's C++ code says of this machine is no output of the notebook.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    nbclient.NotebookClient(
        notebook,
        timeout=3600,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": folder}},
    ).execute()
    tidy(notebook, folder)
    # By which Python it was run is of no use to who opens it.
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}


def tidy(notebook, folder):
    """Leaves out of the outputs what is of the machine, and makes pictures small.

    Args:
        notebook: that was run; it is changed.
        folder: that it was run in.
    """
    here = os.path.join(os.path.realpath(folder), "")
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        # Warnings of libraries, with the paths of this machine.
        cell.outputs = [
            output for output in cell.outputs if output.get("name") != "stderr"
        ]
        for output in cell.outputs:
            if output.output_type == "stream":
                # TensorFlow writes its own where it finds a notebook.
                text = re.sub(r"^WARNING:tensorflow:.*\n", "", output.text, flags=re.M)
                output.text = text.replace(here, "")
            picture = output.get("data", {}).get("image/png")
            if picture:
                output.data["image/png"] = _few_colours(picture)


def _few_colours(picture):
    """A PNG file in base64 with 256 colours, if that is smaller."""
    from PIL import Image

    smaller = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(smaller, "PNG", optimize=True)
    return min(picture, base64.b64encode(smaller.getvalue()).decode(), key=len)


def main():
    """Makes all of them, and runs those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", nargs="+", metavar="NAME", default=[])
    parser.add_argument("--within", metavar="DIR", help="default: a new folder")
    arguments = parser.parse_args()
    run = arguments.run
    for path in sorted(EXAMPLES.glob("*.ipynb")):
        source = path.with_suffix(".py")
        text = source.read_text(encoding="utf-8")
        source.write_text(with_head(text, source.stem), encoding="utf-8")
        if not run or source.stem in run:
            make_notebook(source, source.stem in run, arguments.within)


if __name__ == "__main__":
    main()
