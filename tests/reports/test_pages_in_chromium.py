"""The pages of `semppl report` and `semppl label`, opened in a browser.

Pictures of them are kept where pytest keeps its temporary files, to be looked at.
"""

import json
import os
import re
import time
from typing import NamedTuple

import pytest
from chromium import chromium, find_chromium
from short_run import short_run, write_own_images

from semppl_keras.cli import main
from semppl_keras.data.images.label_tables import read_label_table

pytestmark = pytest.mark.any_backend

# A desktop and a telephone.
_WIDTHS = (1280, 400)
_LONG = "a very bright surface without much texture/déjà vu <b>" + "long" * 9

# Of an element that begins or ends beside the page's column, and does not scroll.
_OUTSIDE = """
[...document.querySelectorAll("main *")].filter(element => {
  const box = element.getBoundingClientRect();
  return box.width && !element.closest(".scroll *, #tip, details:not([open]) *") &&
    (box.left < 0 || box.right > document.documentElement.clientWidth + 1);
}).map(element => element.outerHTML.slice(0, 200))
"""
# Of a name in the matrix that is cut off although it is short.
_CUT = """
[...document.querySelectorAll(".matrix th span")].filter(name =>
  name.textContent.length < 20 && (name.scrollWidth > name.clientWidth ||
  name.scrollHeight > name.clientHeight)).map(name => name.textContent)
"""


class _Pages(NamedTuple):
    report: object
    own_report: object
    review: object
    table: object


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Reports on digits and on files with a long class name, and images to review."""
    folder = tmp_path_factory.mktemp("pages")
    with short_run(folder / "digits", "--epochs", "3", num_small=1) as run:
        assert main(["report", str(run)]) == 0
    options = write_own_images(folder / "photos")
    few = folder / "photos" / "few"
    (few / "bright").rename(few / _LONG.replace("/", " "))
    table = folder / "labels.csv"
    with short_run(folder / "own", *options) as own:
        assert main(["report", str(own)]) == 0
        photos = str(folder / "photos" / "many")
        options = ["--out", str(table), "--review", "7"]
        assert main(["label", str(own), photos, *options]) == 0
    return _Pages(
        run / "report.html",
        own / "report.html",
        folder / "labels.review.html",
        table,
    )


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("width", _WIDTHS)
@pytest.mark.parametrize("name", ["report", "own_report", "review"])
def test_a_page_is_whole_at_any_width(pages, browser, tmp_path, name, width):
    page = browser.open(getattr(pages, name), width)
    page.screenshot(tmp_path / f"{name}_{width}.png")
    # What is folded away is to be as good.
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("innerWidth") == width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(_OUTSIDE) == []
    assert page.evaluate(_CUT) == []
    sizes = page.evaluate("[...document.images].map(i => i.complete * i.naturalWidth)")
    assert sizes
    assert all(sizes)
    charts = page.evaluate(
        "[...document.querySelectorAll('.chart svg')].map(chart => "
        "[chart.getBoundingClientRect().width, chart.getBoundingClientRect().height, "
        "chart.querySelectorAll('polyline, circle').length])"
    )
    assert len(charts) == (0 if name == "review" else 3)
    for across, down, curves in charts:
        assert across > 200
        assert down > 100
        assert curves >= 2
    assert page.problems() == []
    assert page.requests() == []


@pytest.mark.slow
@pytest.mark.parametrize("width", _WIDTHS)
def test_the_map_zooms_and_shows_the_image_under_the_pointer(pages, browser, width):
    text = pages.report.read_text()
    data = json.loads(re.search(r"const data = (\{.*\});", text).group(1))
    page = browser.open(pages.report, width)
    middle = page.middle("#map canvas")
    across, down = page.evaluate("[map.clientWidth, map.clientHeight]")

    def draw():
        return page.evaluate("document.querySelector('#map canvas').toDataURL()")

    def place(index, scale=1):
        side = scale * (min(across, down) - 24)
        return [
            middle[axis] + (data["xy"[axis]][index] - 0.5) * side for axis in (0, 1)
        ]

    def tip():
        return page.evaluate(
            "(() => { const t = document.getElementById('tip');"
            "const b = t.getBoundingClientRect(), m = map.getBoundingClientRect();"
            "return {shown: t.style.display === 'block', text: t.textContent,"
            "picture: t.firstElementChild.style.backgroundImage,"
            "inside: b.left >= m.left && b.right <= m.right && b.top >= m.top && "
            "b.bottom <= m.bottom} })()"
        )

    # The outermost images, whose pictures are nearest to the edges, and another.
    for index in (
        data["x"].index(min(data["x"])),
        data["x"].index(max(data["x"])),
        data["y"].index(max(data["y"])),
        450,
    ):
        page.mouse("mouseMoved", *place(index))
        told = tip()
        assert told["shown"]
        assert told["inside"]
        assert told["text"] == data["text"][index]
    sprite = told["picture"][len('url("') : -len('")')]
    size = page.evaluate(
        f"new Promise(done => {{ const i = new Image(); i.src = {json.dumps(sprite)};"
        "i.onload = () => done(i.naturalWidth); i.onerror = () => done(0); })"
    )
    assert size == data["across"] * 8

    whole = draw()
    # The wheel zooms about the pointer: what is below it stays there.
    x, y = place(450)
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-400)
    browser.wait(lambda: draw() != whole)
    page.mouse("mouseMoved", x + 1, y)
    assert tip()["text"] == data["text"][450]
    # A drag moves the map.
    near = draw()
    page.mouse("mousePressed", x, y, button="left", buttons=1)
    page.mouse("mouseMoved", x + 30, y, button="left", buttons=1)
    page.mouse("mouseReleased", x + 30, y, button="left")
    page.mouse("mouseMoved", x + 30, y)
    assert draw() != near
    assert tip()["text"] == data["text"][450]
    # A way back, and buttons for those without a wheel.
    page.click("#whole")
    assert draw() == whole
    page.click("#in")
    middle = page.middle("#map canvas")
    page.mouse("mouseMoved", *place(450, 1.6))
    assert tip()["text"] == data["text"][450]
    page.click("#out")
    assert draw() == whole
    # A class that is hidden leaves its place.
    page.click("#classes button")
    assert draw() != whole
    assert page.problems() == []


@pytest.mark.slow
def test_what_is_labelled_in_the_browser_is_a_table_to_train_with(
    pages, browser, tmp_path
):
    browser.call(
        "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path)
    )
    page = browser.open(pages.review, 400)
    told = "document.getElementById('told').textContent"
    own = ", {} in the table with the run's own"
    assert page.evaluate(told) == "0 of 7 labelled" + own.format(6)
    page.evaluate(
        "(() => { const s = document.querySelector('figure select');"
        "s.value = 'dark'; s.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )
    assert page.evaluate(told) == "1 of 7 labelled" + own.format(7)
    page.click("#guesses")
    # They are taken once it is known how many of them may be wrong.
    assert page.evaluate(told) == "1 of 7 labelled" + own.format(7)
    asked = page.evaluate("document.getElementById('ask').innerText")
    assert asked.startswith("6 images have no label yet. By their confidences about ")
    page.click("#leave")
    assert page.evaluate("document.getElementById('ask').innerText") == ""
    page.click("#guesses")
    page.click("#take")
    assert page.evaluate(told) == "7 of 7 labelled" + own.format(13)
    page.click("#save")
    saved = tmp_path / "labels.review_labels.csv"
    end = time.monotonic() + 20
    while not saved.exists() and time.monotonic() < end:
        page.evaluate("new Promise(done => setTimeout(done, 100))")
    beside = pages.table.with_name(saved.name)
    os.replace(saved, beside)
    guesses = {row.path: row.label for row in read_label_table(pages.table)}
    every = read_label_table(beside)
    assert len(every) == 6 + 7
    assert {row.path.parent.parent.name for row in every[:6]} == {"few"}
    rows = every[6:]
    assert rows[0].label == "dark"
    assert all(row.path.exists() for row in rows)
    assert {row.path: row.label for row in rows[1:]}.items() <= guesses.items()
    assert page.problems() == []


def test_a_machine_without_a_browser_is_told_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="apt-get install chromium"):
        find_chromium()


@pytest.mark.slow
def test_a_page_that_is_bad_would_be_noticed(browser, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text(
        "<!doctype html><main><div style='width: 900px'>wide</div></main>"
        "<img src='http://127.0.0.1:9/absent.png'>"
        "<script>console.error('told'); nothing.there();</script>"
    )
    page = browser.open(path, 400)
    assert page.evaluate("document.documentElement.scrollWidth") > 400
    assert len(page.evaluate(_OUTSIDE)) == 1
    assert page.requests() == ["http://127.0.0.1:9/absent.png"]
    problems = " ".join(page.problems())
    for words in ("told", "nothing is not defined", "Failed to load resource"):
        assert words in problems
