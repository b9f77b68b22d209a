"""`semppl report`: what is on the page, and that it needs nothing else."""

import html.parser
import json
import re

import numpy as np
import pytest
from short_run import short_run, write_own_images

from semppl_keras.cli import main
from semppl_keras.evaluation.classifier_titles import TITLES
from semppl_keras.reports.embedding_map import class_color, embedding_map
from semppl_keras.reports.html_pages import as_script, data_uri, page, picture
from semppl_keras.reports.svg_charts import line_chart
from semppl_keras.runs.finished import FinishedRun

pytestmark = pytest.mark.any_backend

_VOID = ("meta", "img", "br", "input", "line", "circle", "polyline", "rect")


class _Checker(html.parser.HTMLParser):
    """Raises where elements are not closed in their order; collects some."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.headings, self.scripts = [], [], [], 0

    def handle_starttag(self, tag, attrs):
        self.addresses += [v for n, v in attrs if n in ("src", "href")]
        self.scripts += tag == "script"
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.addresses += [v for n, v in attrs if n in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def _checked(text):
    checker = _Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    assert all(address.startswith("data:image/") for address in checker.addresses)
    return checker


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with short_run(tmp_path_factory.mktemp("runs") / "short", num_small=1) as folder:
        yield folder


@pytest.fixture(scope="module")
def written(run):
    assert main(["report", str(run)]) == 0
    return (run / "report.html").read_text()


def test_the_page_has_all_its_parts_and_needs_no_other_file(written):
    checker = _checked(written)
    assert checker.headings == [
        "Training",
        "Images in the learned representation",
        "Confusion",
        "Most frequent confusions",
        "Suspect labels",
        "The most and the least certain images of each class",
        "Augmented views, as in training",
        "Settings and versions",
        "Versions",
    ]
    assert checker.scripts == 1
    # Neither fetched nor executed from elsewhere.
    assert not re.search(r"https?://", written)
    for text in ("Loss and its parts", "pseudo label confidence", "semppl_keras"):
        assert text in written


def test_the_numbers_are_those_of_the_run(run, written):
    metrics = json.loads((run / "metrics.json").read_text())
    assert f"On the test images, {TITLES[metrics['classifier']]}: " in written
    assert f"of 400 right ({metrics['classifier_accuracy']:.1%})" in written
    counts = [
        [int(cell or 0) for cell in re.findall(r"<td[^>]*>(\d*)</td>", line)]
        for line in re.findall(r'<tr><th scope="row">.*?</th>(.*?)</tr>', written)
    ]
    finished = FinishedRun(run)
    classifier, _ = finished.classifier()
    predicted = classifier.predict(finished.data.x_test, verbose=0).argmax(axis=1)
    expected = np.zeros((10, 10), int)
    np.add.at(expected, (finished.data.y_test, predicted), 1)
    np.testing.assert_array_equal(counts, expected)
    # Every unlabelled image is taken for something.
    shares = re.findall(r"<summary>\d: ([\d,]+) images</summary>", written)
    assert sum(int(count.replace(",", "")) for count in shares) == 1297


def test_the_map_has_images_of_all_kinds(written):
    data = json.loads(re.search(r"const data = (\{.*\});", written).group(1))
    assert {key: len(data[key]) for key in ("x", "y", "color", "kind", "text")} == (
        dict.fromkeys(("x", "y", "color", "kind", "text"), 900)
    )
    assert [data["kind"].count(kind) for kind in (0, 1, 2)] == [400, 400, 100]
    assert min(data["x"]) >= 0
    assert max(data["y"]) <= 1
    assert data["sprite"].startswith("data:image/jpeg;base64,")


def test_an_earlier_report_is_replaced_and_no_other_file(run, tmp_path, capsys):
    (run / "report.html").write_text("old")
    assert main(["report", str(run)]) == 0
    assert (run / "report.html").read_text() != "old"
    out = tmp_path / "mine.html"
    out.write_text("mine")
    assert main(["report", str(run), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert out.read_text() == "mine"


@pytest.mark.parametrize("labels", [2, 1])
def test_own_images_without_test_images_have_a_report(tmp_path, labels):
    options = write_own_images(tmp_path, labels)
    with short_run(tmp_path / "run", *options) as folder:
        assert main(["report", str(folder)]) == 0
    text = (folder / "report.html").read_text()
    _checked(text)
    expected = {1: "too few labels to hold any out", 2: "By cross-validation of the"}
    assert expected[labels] in text
    assert "broken.png: it is empty" in text
    assert "few/dark/0.png" in text


def test_texts_cannot_leave_their_place():
    evil = "</script><img src=x onerror=alert(1)>"
    text = page(evil, "", script=f"const a = {as_script([evil])};")
    assert text.count("</script>") == 1
    assert "<img" not in text
    points = np.random.default_rng(0).normal(size=(3, 2))
    images = np.zeros((3, 8, 8, 1))
    body, script = embedding_map(
        points, images, [0, 1, 0], [0, 1, 2], [evil] * 3, [evil, "b"]
    )
    assert "<img" not in body
    assert "<img" not in script
    assert evil not in picture(images[0], 10, description='"' + evil)


def test_small_pictures_stay_sharp_and_large_ones_small():
    assert data_uri(np.zeros((8, 8, 1))).startswith("data:image/png")
    assert 'class="small"' in picture(np.zeros((8, 8, 3)), 64)
    noise = np.random.default_rng(0).integers(0, 256, (200, 100, 3))
    assert data_uri(noise).startswith("data:image/jpeg")
    assert len(data_uri(noise, 50)) < len(data_uri(noise)) / 4
    assert 'width="50" height="100"' in picture(noise, 50, 60)


@pytest.mark.parametrize(
    "series",
    [
        {"loss": [1.0]},
        {"loss": [3.0, 2.0, float("nan"), 1e-3]},
        {"loss": [0.0, 0.0], "other": [0.0, 0.0]},
        {"loss": []},
        {"loss": [1e6, -1e6, 5.0]},
    ],
)
def test_charts_show_any_curve_within_their_frame(series):
    chart = line_chart(series, "a < b")
    _checked(chart)
    assert "a &lt; b" in chart
    for number in re.findall(r'(?:x|y|cx|cy|x1|y1)="(-?[\d.]+)"', chart):
        assert 0 <= float(number) <= 420
    assert "nan" not in chart


def test_classes_have_colours_of_their_own():
    for count in (3, 10, 40):
        colors = [class_color(index, count) for index in range(count)]
        assert len(set(colors)) == count
