"""SVG drawings among image files."""

import sys

import numpy as np
import pytest
from PIL import Image

from semppl_keras.data.images.drawings import can_draw, drawn
from semppl_keras.data.images.files import UnreadableImage, image_header, read_image
from semppl_keras.data.images.finding import find_classes, find_images
from semppl_keras.data.images.sources import open_images

pytestmark = pytest.mark.any_backend

_SPACE = 'xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink"'


def _svg(inside, size='viewBox="0 0 40 20"', before=""):
    return f"{before}<svg {_SPACE} {size}>{inside}</svg>".encode()


_HALF_BLUE = _svg('<rect width="20" height="20" fill="blue"/>')


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
        _svg("<g>" * 5000 + "</g>" * 5000),
        _svg(" " * 8_000_000),
    ):
        assert _reason(content)


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
