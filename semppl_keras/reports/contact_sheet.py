"""The sheet on which a person looks through images and labels them."""

import html

from semppl_keras.data.images.spreadsheets import EVALUATED
from semppl_keras.reports.html_pages import as_script, page, picture

_WIDTH = 150

_STYLE = """
.sheet { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(166px, 1fr)); }
figure { margin: 0; padding: 8px; border: 1px solid var(--line); border-radius: 8px;
  background: var(--paper); min-width: 0; display: flex; flex-direction: column; }
figure img { margin: 0 auto 6px; max-width: 100%; height: auto; }
figcaption { font-size: 13px; overflow-wrap: anywhere; margin-bottom: 6px; }
figure select { width: 100%; margin-top: auto; }
.top { position: sticky; top: 0; background: var(--ground); padding: 8px 0; z-index: 1;
  display: flex; flex-wrap: wrap; gap: 10px; align-items: center; }
@media (max-width: 480px) {
  .sheet { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; } }
"""

_SCRIPT = """
const paths = %(paths)s, names = %(names)s, file = %(file)s;
const evaluated = %(evaluated)s;
const selects = [...document.querySelectorAll("figure select")];
for (const select of selects) {
  for (const name of names) select.add(new Option(name, name));
}
const told = document.getElementById("told");
function labelled() {
  return selects.map((select, i) => [paths[i], select.value]).filter(([, l]) => l);
}
function count() {
  told.textContent = labelled().length + " of " + paths.length + " labelled";
}
document.addEventListener("change", count);
document.getElementById("guesses").addEventListener("click", () => {
  for (const select of selects) if (!select.value) select.value = select.dataset.guess;
  count();
});
document.getElementById("save").addEventListener("click", () => {
  const inert = text => evaluated.includes(text[0]) ? "'" + text : text;
  const quoted = text => '"' + inert(text).replaceAll('"', '""') + '"';
  const rows = [["path", "label"], ...labelled()];
  const lines = rows.map(row => row.map(quoted).join(",") + "\\n");
  const link = document.createElement("a");
  link.href = "data:text/csv;charset=utf-8," + encodeURIComponent(lines.join(""));
  link.download = file;
  link.click();
});
count();
"""


def write_contact_sheet(path, entries, class_names, table, title):
    """Writes a page with a picture of each image and a list of classes below it.

    What is chosen there a button saves as a table of path,label, which `semppl train
    --labelled` takes.

    Args:
        path: `pathlib.Path` of the file.
        entries: List of dicts, for each image `image` (an array), `path` (a text),
            `label` and `second` (names of classes), `confidence` and `second_share`
            (floats), `nearest` (a list of texts).
        class_names: Of all classes.
        table: Name of the file beside which that table belongs.
        title: Headline.
    """
    figures = "".join(_figure(entry) for entry in entries)
    body = (
        '<p class="soft">Least certain first. Choose what each image shows; what has '
        f"no label is left out of the table. Save it beside {html.escape(table)}: its "
        "paths are relative to there.</p>"
        '<div class="top"><button id="guesses">Take the guesses for the rest</button>'
        '<button id="save">Save the labels</button><span id="told"></span></div>'
        f'<div class="sheet">{figures}</div>'
    )
    script = _SCRIPT % {
        "paths": as_script([entry["path"] for entry in entries]),
        "names": as_script(list(class_names)),
        # As `inert` writes other tables.
        "evaluated": as_script(list(EVALUATED)),
        "file": as_script(f"{path.stem}_labels.csv"),
    }
    path.write_text(
        page(title, body, _STYLE, script), encoding="utf-8", errors="backslashreplace"
    )


def _figure(entry):
    guess = html.escape(entry["label"], quote=True)
    nearest = "".join(
        f'<div class="soft">like {html.escape(name)}</div>'
        for name in entry["nearest"][:1]
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
