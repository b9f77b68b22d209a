"""SVG drawings among image files."""

import concurrent.futures
import io
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from semppl_keras.data import load_own_images
from semppl_keras.data.images.drawing_worker import MOST_DEPTH
from semppl_keras.data.images.drawing_workers import DrawingWorkers
from semppl_keras.data.images.drawings import can_draw, drawn
from semppl_keras.data.images.files import (
    UnreadableImage,
    image_header,
    read_image,
    value_extent,
)
from semppl_keras.data.images.finding import find_classes, find_images
from semppl_keras.data.images.sources import open_images

pytestmark = pytest.mark.any_backend

_SPACE = 'xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink"'


def _svg(inside, size='viewBox="0 0 40 20"', before=""):
    return f"{before}<svg {_SPACE} {size}>{inside}</svg>".encode()


_SQUARE = 'viewBox="0 0 9 9"'
_HALF_BLUE = _svg('<rect width="20" height="20" fill="blue"/>')


# 250 bytes that would be drawn for years.
_ENDLESS = _svg(
    '<filter id="f"><feTurbulence baseFrequency=".1" numOctaves="2000000000"/></filter>'
    '<rect width="20" height="20" filter="url(#f)"/>'
)
# More of these than the package that draws has room for: it crashes.
_CRASHING = _svg(
    "".join(
        f'<pattern id="p{i}" width="1" height="1">'
        f'<rect width="9" height="9" fill="url(#p{i + 1})"/></pattern>'
        for i in range(3000)
    )
    + '<rect width="9" height="9" fill="url(#p0)"/>'
)


@pytest.fixture
def workers():
    """Those that give up early: a drawing that has an end needs a tenth of it."""
    workers = DrawingWorkers(seconds=1)
    yield workers
    workers.close()


def _reason(content):
    with pytest.raises(UnreadableImage) as error:
        read_image(content, 8)
    return error.value.reason


def test_a_drawing_is_read_at_the_size_that_is_wanted(tmp_path):
    (tmp_path / "a.SVG").write_bytes(_HALF_BLUE)
    assert find_images(tmp_path) == [tmp_path / "a.SVG"]
    image = read_image(tmp_path / "a.SVG", 64)
    assert image.shape == (64, 64, 3)
    # Between bars, and white where nothing is drawn.
    assert image[8, 8].tolist() == [127, 127, 127]
    assert image[32, 16].tolist() == [0, 0, 255]
    assert image[32, 48].tolist() == [255, 255, 255]
    # It has edges as sharp as pixels are, however small it is.
    small = _svg('<rect width="2" height="2" fill="blue"/>', 'viewBox="0 0 4 2"')
    np.testing.assert_array_equal(read_image(small, 64), image)
    assert np.count_nonzero((image[32, :, 0] > 16) & (image[32, :, 0] < 239)) <= 1
    assert read_image(small, 64, channels=1).shape == (64, 64, 1)
    assert image_header(small) == (512, 256, True)


def test_the_size_that_a_drawing_says_is_of_no_effect():
    for size in ('width="1000000" height="500000"', 'width="4" height="2"'):
        content = _svg("", size)
        assert drawn(content, 30).size == (30, 15)
    assert drawn(_HALF_BLUE, 10**6).size == (4096, 2048)


@pytest.mark.parametrize(
    "attribute", ["href", "x:href"], ids=["as in SVG 2", "as in SVG 1"]
)
def test_nothing_that_a_drawing_refers_to_is_read(tmp_path, attribute):
    path = tmp_path / "secret.png"
    Image.new("RGB", (4, 4), "red").save(path)
    entity = f'<!DOCTYPE svg [<!ENTITY at "{path}">]>'
    shown = '<image width="9" height="9" {}="{}"/>'
    for place, before in (
        (path, ""),
        (path.as_uri(), ""),
        ("http://127.0.0.1:9/a.png", ""),
        ("data:image/png;base64,AAAA", ""),
        ("&at;", entity),
    ):
        content = _svg(shown.format(attribute, place), before=before)
        assert _reason(content) == "it is an SVG that shows another picture"
    # What refers to a part of itself does no such thing.
    used = f'<rect id="r" width="5" height="9"/><use {attribute}="#r" x="20"/>'
    assert read_image(_svg(used), 40)[12, 22].max() < 5


def test_a_drawing_that_would_take_for_ever_is_refused():
    tens = "".join(
        f'<g id="a{i + 1}">' + f'<use href="#a{i}"/>' * 10 + "</g>" for i in range(8)
    )
    laughs = "".join(f'<!ENTITY b{i + 1} "{f"&b{i};" * 10}">' for i in range(9))
    for content in (
        _svg('<g id="a0"><rect width="1" height="1"/></g>' + tens),
        _svg("<text>&b9;</text>", before=f'<!DOCTYPE svg [<!ENTITY b0 "ha">{laughs}]>'),
        _svg(" " * 8_000_000),
    ):
        assert _reason(content)


@pytest.mark.parametrize("name", ["g", "a", "svg", "switch", "tspan", "odd"])
def test_deep_drawings_are_refused_whatever_they_are_made_of(name):
    def deep(depth):
        # The outermost element is one of them.
        return _svg(f"<{name}>" * (depth - 1) + f"</{name}>" * (depth - 1))

    assert drawn(deep(MOST_DEPTH), 8).size == (8, 4)
    for depth in (MOST_DEPTH + 1, 100, 300, 900, 100_000):
        with pytest.raises(ValueError, match=f"more than {MOST_DEPTH} parts"):
            drawn(deep(depth), 8)


def test_a_deep_drawing_is_told_as_any_other_file_that_cannot_be_read():
    reason = _reason(_svg("<g>" * 300 + "</g>" * 300))
    assert reason == "it is an SVG of more than 64 parts, each within another"


def test_hostile_drawings_in_a_folder_are_left_out_and_named(tmp_path):
    deep = _svg("<g>" * 300 + "</g>" * 300)
    photos, labelled = tmp_path / "photos", tmp_path / "labelled"
    for name in ("cat", "dog"):
        (labelled / name).mkdir(parents=True)
        side = 9 if name == "cat" else 20
        square = f'<rect width="{side}" height="{side}"/>'
        (labelled / name / "a.svg").write_bytes(_svg(square))
    photos.mkdir()
    (photos / "crash.svg").write_bytes(_CRASHING)
    (photos / "deep.svg").write_bytes(deep)
    (photos / "fine.svg").write_bytes(_HALF_BLUE)
    data = load_own_images(photos, labelled, image_size=8, max_skipped=0.9)
    assert {
        pathlib.Path(skipped.name).name: skipped.reason for skipped in data.skipped
    } == {
        "crash.svg": "its SVG makes the program that draws it end, or takes too much "
        "memory",
        "deep.svg": "it is an SVG of more than 64 parts, each within another",
    }


def test_what_makes_the_package_crash_ends_another_process_alone(workers):
    for _ in range(2):
        with pytest.raises(ValueError, match="makes the program that draws it end"):
            workers.drawn(_CRASHING, 8)
        assert workers.drawn(_HALF_BLUE, 8).startswith(b"\x89PNG")


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such limit")
def test_a_drawing_may_take_only_so_much_of_the_processor(workers):
    with pytest.raises(ValueError, match="takes more than 1 seconds$"):
        workers.drawn(_ENDLESS, 8)
    assert workers.drawn(_HALF_BLUE, 8).startswith(b"\x89PNG")


def test_a_drawing_may_take_only_so_long():
    workers = DrawingWorkers(patience=0.1)
    with pytest.raises(ValueError, match=r"takes more than 0\.1 seconds$"):
        workers.drawn(_ENDLESS, 8)


@pytest.mark.skipif(sys.platform != "linux", reason="others set no such limit")
def test_a_drawing_may_take_only_so_much_memory():
    workers = DrawingWorkers(memory=256 << 20)
    # Of 32 MiB each, as large as this is drawn.
    layers = "<g opacity='.5'><rect width='40' height='20'/>" * 20 + "</g>" * 20
    with pytest.raises(ValueError, match="or takes too much memory"):
        workers.drawn(_svg(layers), 4096)
    assert workers.drawn(_svg(layers), 64)
    workers.close()


def test_one_process_draws_many_drawings(workers, monkeypatch):
    started = []
    popen = subprocess.Popen

    def counted(*args, **options):
        started.append(popen(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", counted)
    for side in range(1, 30):
        assert workers.drawn(_HALF_BLUE, side)
    assert len(started) == 1
    # Also after one that it refuses, and by itself after it was ended.
    with pytest.raises(ValueError, match="it is XML, but no SVG"):
        workers.drawn(b"<note/>", 8)
    assert workers.drawn(_HALF_BLUE, 8)
    assert len(started) == 1
    started[0].kill()
    started[0].wait()
    assert workers.drawn(_HALF_BLUE, 8)
    assert len(started) == 2
    workers.close()
    assert started[1].returncode is not None


def test_threads_draw_side_by_side(workers):
    sides = [1 + number % 40 for number in range(200)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        drawings = list(
            pool.map(lambda side: workers.drawn(_svg("", _SQUARE), side), sides)
        )
    assert [Image.open(io.BytesIO(png)).width for png in drawings] == sides


def test_the_range_of_values_is_told_without_drawing():
    assert value_extent(_ENDLESS) is None


def test_what_is_no_drawing_is_told():
    assert "it is XML, but no SVG" in _reason(b"<?xml version='1.0'?><note/>")
    assert "it is no SVG, as XML has it" in _reason(b"<svg><g></svg>")
    assert _reason(_svg("", 'width="0" height="3"'))


def test_without_the_package_drawings_are_counted_and_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    assert not can_draw()
    (tmp_path / "a.svg").write_bytes(_HALF_BLUE)
    Image.new("RGB", (9, 9)).save(tmp_path / "b.png")
    assert find_images(tmp_path) == [tmp_path / "b.png"]
    told = 'SVG drawings need another package: pip install "semppl_keras\\[svg\\]"'
    (remark,) = open_images(tmp_path, "unlabelled").remarks
    assert "1 .svg. " + told.replace("\\", "") in remark
    with pytest.raises(UnreadableImage, match=told):
        read_image(tmp_path / "a.svg")
    with pytest.raises(ValueError, match=told):
        find_classes(tmp_path)
