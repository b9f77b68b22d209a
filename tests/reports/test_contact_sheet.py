"""The page on which images are labelled: its script, in Node.js with a few elements.

The page in a browser is in test_pages_in_chromium.py.
"""

import json
import pathlib
import re
import shutil
import subprocess
from urllib.parse import unquote

import numpy as np
import pytest

from semppl_keras.data.images.label_tables import read_label_table
from semppl_keras.reports.contact_sheet import saved_table, write_contact_sheet
from semppl_keras.runs.reviewing import command_to_go_on

pytestmark = pytest.mark.any_backend

NAMES = ["cat", "=dog"]
GIVEN = [("a.png", "cat"), ('odd, "name".png', "=dog"), ("1.png", "cat")]

# What the script asks of a page, and a click by a person.
_ELEMENTS = """
const listeners = {}, elements = {}, saved = {};
class Option { constructor(text, value) { this.value = value; } }
const make = () => ({listeners: {}, hidden: true, textContent: "",
  addEventListener(kind, call) { this.listeners[kind] = call; }});
const selects = GUESSES.map(guess => ({value: "", dataset: {guess},
  add(option) { offered.push(option.value); }}));
const document = {
  querySelectorAll: () => selects,
  getElementById: id => elements[id] ??= make(),
  addEventListener(kind, call) { listeners[kind] = call; },
  createElement: () => ({click() {
    saved.href = this.href; saved.name = this.download;
  }}),
};
const click = id => elements[id].listeners.click();
const choose = (i, value) => { selects[i].value = value; listeners.change(); };
const told = () => elements.told.textContent;
const addEventListener = (kind, call) => { listeners[kind] = call; };
const offered = [];
const leaves = () => {
  let held = false;
  listeners.beforeunload({preventDefault() { held = true; }});
  return !held;
};
const asked = () => elements.ask.hidden ? null : elements.expected.textContent;
"""


@pytest.fixture
def page(tmp_path):
    """Runs what a person does on a page, and gives what was noted meanwhile."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("There is no Node.js here; a browser has the same test.")
    entries = [
        {
            "image": np.zeros((4, 4, 3), "uint8"),
            "path": f"{row}.png",
            "label": NAMES[row % 2],
            "second": NAMES[1 - row % 2],
            "confidence": confidence,
            "second_share": 1 - confidence,
            "nearest": ["a.png"],
        }
        for row, confidence in enumerate([0.5, 0.6, 0.8])
    ]
    sheet = tmp_path / "labels.review.html"
    command = "semppl train --from 'a <b>'"
    write_contact_sheet(sheet, entries, NAMES, "labels.csv", "3", GIVEN, command)
    text = sheet.read_text(encoding="utf-8")
    assert "<pre>semppl train --from &#x27;a &lt;b&gt;&#x27;</pre>" in text
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    guesses = re.findall(r'data-guess="(.*?)"', text)
    elements = _ELEMENTS.replace("GUESSES", json.dumps(guesses))

    def run(steps):
        program = (
            f"{elements}\n{{{script}}}\nconst notes = [];\n{steps}\n"
            "console.log(JSON.stringify([notes, saved]));"
        )
        done = subprocess.run(
            [node, "-"], input=program, capture_output=True, text=True, check=True
        )
        notes, saved = json.loads(done.stdout)
        return notes, saved, tmp_path

    return run


def test_guesses_are_taken_once_it_is_known_how_many_may_be_wrong(page):
    notes, _, _ = page(
        """
        notes.push(told());
        choose(0, "=dog");
        click("guesses");
        notes.push(asked(), told());
        click("leave");
        notes.push(asked(), told());
        click("guesses");
        click("take");
        notes.push(asked(), told(), selects.map(select => select.value));
        click("guesses");
        notes.push(asked());
        """
    )
    assert notes == [
        "0 of 3 labelled, 3 in the table with the run's own",
        "2 images have no label yet. By their confidences about 1.4 of these guesses "
        "are right, and 0.6 wrong, and would be trained with.",
        "1 of 3 labelled, 4 in the table with the run's own",
        None,
        "1 of 3 labelled, 4 in the table with the run's own",
        None,
        "3 of 3 labelled, 5 in the table with the run's own",
        ["=dog", "=dog", "cat"],
        # There is nothing left to take.
        None,
    ]


def test_the_table_has_the_labels_that_there_were_and_those_of_the_page(page):
    _, saved, folder = page('choose(1, "=dog"); choose(2, "cat"); click("save");')
    assert saved["name"] == saved_table(pathlib.Path("labels.review.html"))
    kind, _, content = saved["href"].partition(",")
    assert kind == "data:text/csv;charset=utf-8"
    table = folder / saved["name"]
    table.write_text(unquote(content), encoding="utf-8")
    rows = [(row.path.name, row.label) for row in read_label_table(table)]
    # What the page says of an image counts.
    assert rows == [*GIVEN[:2], ("1.png", "=dog"), ("2.png", "cat")]


def test_a_class_that_is_missing_is_added_once(page):
    notes, _, _ = page(
        """
        const enter = text => {
          elements.name.value = text;
          elements.name.listeners.keydown({key: "Enter"});
        };
        elements.name.value = " games ";
        click("add");
        for (const text of ["games", "cat", "  "]) enter(text);
        enter("tools");
        notes.push(told(), elements.name.value, offered.length);
        notes.push([...new Set(offered)], leaves());
        choose(0, "games");
        notes.push(leaves());
        click("save");
        notes.push(leaves());
        """
    )
    told = "0 of 3 labelled, 3 in the table with the run's own; new: games, tools"
    names = [*NAMES, "games", "tools"]
    # Of what was not saved a person is asked.
    assert notes == [told, "", 3 * len(names), names, True, False, True]


def test_a_run_goes_on_in_a_folder_that_is_free(tmp_path):
    table = pathlib.Path("a b.csv")
    for name, expected in (
        ("photos", "photos_2"),
        ("photos_2", "photos_4"),
        ("photos_seed_0", "photos_seed_0_2"),
        ("7", "7_2"),
    ):
        (tmp_path / "photos_3").mkdir(exist_ok=True)
        command = command_to_go_on(tmp_path / name, table)
        assert command == (
            f"semppl train --from {tmp_path / name} --labelled 'a b.csv' "
            f"--out {tmp_path / expected}"
        )
    frozen = command_to_go_on(tmp_path / "photos", table, train=False)
    assert "--labelled 'a b.csv' --epochs 0 --out" in frozen
