"""Pictures of which nobody looks at more than that they are there."""

import contextlib

import pytest


@contextlib.contextmanager
def sketched_pictures():
    """A context in which figures are made as ever, and written as a few empty pixels.

    To set their letters takes a third of the time of a tiny run. How they come out is
    for the tests of the commands that write them: `tests/cli` has `report.png` and the
    pictures of an evaluation drawn.
    """
    from matplotlib.figure import Figure

    write = Figure.savefig

    def sketch(figure, path, **options):
        write(Figure((1, 1)), path, **{**options, "dpi": 10})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", sketch)
        yield
