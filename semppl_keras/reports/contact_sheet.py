"""The sheet on which a person looks through images and labels them."""

import html
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from semppl_keras.data.images.spreadsheets import EVALUATED
from semppl_keras.reports.html_pages import page, picture, script_of, style_of

_WIDTH = 150
# Of the labelled image that another one is like.
_WIDTH_OF_LIKE = 60


def write_contact_sheet(
    path: pathlib.Path,
    entries: Sequence[Mapping[str, Any]],
    class_names: Sequence[str],
    table: str,
    title: str,
    given: Sequence[tuple[str, str]] = (),
    command: str | None = None,
) -> None:
    """Writes a page with a picture of each image and a list of classes below it.

    What is chosen there a button saves as a table of path,label, together with the
    labels that there were, which `semppl train --labelled` takes.

    Args:
        path: `pathlib.Path` of the file.
        entries: List of dicts, for each image `image` (an array), `path` (a text),
            `label` and `second` (names of classes), `confidence` and `second_share`
            (floats), `nearest` (a list of texts), and where it is to be shown `like`,
            the first of these (an array or None).
        class_names: Of all classes.
        table: Name of the file beside which that table belongs.
        title: Headline.
        given: Pairs of a path and a class: the labels that there were.
        command: What is to be done with the table that the page saves, or None.
    """
    saved = saved_table(path)
    what_next = ""
    if command is not None:
        which = (
            "The table has all labels: those that the run was trained with, and those "
            "of this page. Then train on with it:"
            if given
            else "The table has the labels of this page; the run has its own, and goes "
            "on with both, and with the images that it keeps:"
        )
        what_next = f'<p class="soft">{which}</p><pre>{html.escape(command)}</pre>'
    figures = "".join(_figure(entry) for entry in entries)
    body = (
        '<p class="soft">Least certain first. Choose what each image shows; what has '
        f"no label is left out of the table. Save it beside {html.escape(table)}: its "
        "paths are relative to there.</p>"
        f"{what_next}"
        '<p class="soft"><label>A class that is missing here: '
        '<input id="name" size="14"></label> <button id="add">Add it</button></p>'
        '<div class="top"><button id="guesses">Take the guesses for the rest</button>'
        '<button id="save">Save the labels</button><span id="told"></span>'
        '<div id="ask" role="alert" hidden><span id="expected"></span> '
        '<button id="take">Take them</button> '
        '<button id="leave">Leave them</button></div></div>'
        f'<div class="sheet">{figures}</div>'
    )
    script = script_of(
        "contact_sheet",
        PATHS=[entry["path"] for entry in entries],
        NAMES=list(class_names),
        CONFIDENCES=[round(entry["confidence"], 4) for entry in entries],
        GIVEN=[list(one) for one in given],
        # As `inert` writes other tables.
        EVALUATED=list(EVALUATED),
        FILE=saved,
    )
    path.write_text(
        page(title, body, style_of("contact_sheet"), script),
        encoding="utf-8",
        errors="backslashreplace",
    )


def saved_table(page: pathlib.Path) -> str:
    """What a page calls the table that it saves."""
    return f"{page.stem}_labels.csv"


def _figure(entry: Mapping[str, Any]) -> str:
    guess = html.escape(entry["label"], quote=True)
    nearest = "".join(
        f'<div class="soft">like {html.escape(name)}</div>'
        for name in entry["nearest"][:1]
    )
    like = entry.get("like")
    if like is not None and nearest:
        nearest += picture(
            like, _WIDTH_OF_LIKE, 2 * _WIDTH_OF_LIKE, entry["nearest"][0]
        )
    shown = picture(entry["image"], _WIDTH, 2 * _WIDTH, entry["path"])
    return (
        f"<figure>{shown}"
        f"<figcaption><b>{guess}</b> {entry['confidence']:.0%}, "
        f"{html.escape(entry['second'])} {entry['second_share']:.0%}"
        f'<div class="soft">{html.escape(entry["path"])}</div>{nearest}</figcaption>'
        f'<select data-guess="{guess}" aria-label="label of '
        f'{html.escape(entry["path"], quote=True)}"><option value="">not labelled'
        "</option></select></figure>"
    )
