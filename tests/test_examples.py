"""The notebook is what its .py file says, and runs."""

import pathlib

import pytest

EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"


def test_the_notebook_has_not_drifted_from_its_source():
    import jupytext

    source = jupytext.read(EXAMPLES / "quickstart.py")
    notebook = jupytext.read(EXAMPLES / "quickstart.ipynb")
    assert [(cell.cell_type, cell.source) for cell in source.cells] == [
        (cell.cell_type, cell.source) for cell in notebook.cells
    ]


@pytest.mark.slow
def test_the_notebook_runs():
    import nbclient
    import nbformat

    notebook = nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    text = "".join(
        output.get("text", "") for cell in notebook.cells if cell.cell_type == "code"
        for output in cell.outputs
    )  # fmt: skip
    assert float(text.split("linear probe:")[1]) > 0.8
