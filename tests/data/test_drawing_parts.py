"""How much an SVG drawing becomes, told before it is drawn: on every system."""

from xml.etree import ElementTree

import pytest

from semppl_keras.data.images.drawing_parts import (
    MOST_BYTES_WITH_ENTITIES,
    MOST_PARTS,
    count_parts,
)
from semppl_keras.data.images.drawing_worker import picture_of

pytestmark = pytest.mark.any_backend

_SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">{}</svg>'
_TENS = '<g id="a0"><rect width="1" height="1"/></g>' + "".join(
    f'<g id="a{i + 1}">' + f'<use href="#a{i}"/>' * 10 + "</g>" for i in range(8)
)


def _count(inside):
    return count_parts(ElementTree.fromstring(_SVG.format(inside)))


_MARKER = '<marker id="m"><path/></marker>'
_LINE = '<path d="M0 0L1 1 2 2" {}/>'
_PLAIN = _LINE.format("")


@pytest.mark.parametrize(
    ("inside", "parts"),
    [
        ("<g><path/><path/></g>", 4),
        ('<g id="a"><path/></g><use href="#a"/><use href="#a"/>', 9),
        # Whatever shows something: patterns, masks, filters; where it is shown alone.
        ('<mask id="p"><g/></mask><g fill="url(#p)" mask="url( \'#p\')"/>', 6),
        ('<defs><g id="p"><path/></g></defs><path/>', 2),
        # What is not there shows nothing, as does what stands in itself.
        ('<use href="#none"/><use href="other.svg#a"/>', 3),
        ('<g id="a"><use href="#a"/></g>', 3),
        # At each corner of a line, and at its ends alone.
        (_MARKER + _LINE.format('marker-mid="url(#m)"'), 2 + 2 + 3 * 2),
        (_MARKER + _LINE.format('marker-end="url(#m)"'), 2 + 2),
        (_MARKER + _LINE.format('marker-mid="none"'), 2),
        # Of the lines those that have markers themselves,
        (_MARKER + _LINE.format('style="marker: url(#m)"') + 9 * _PLAIN, 11 + 8),
        # by what they are in, or are used by,
        (_MARKER + f'<g marker-mid="url(#m)">{_PLAIN}</g>' + _PLAIN, 4 + 8),
        (
            _MARKER
            + _LINE.format('id="a"')
            + '<g marker-mid="url(#m)"><use href="#a"/></g>',
            (1 + 6) + (1 + 2 + 1 + 1 + 6) + 1,
        ),
        # or by a rule.
        (
            "<style>.a {marker-mid: url(#m)} .b {marker-end: url(#m)}</style>"
            + _MARKER
            + _LINE.format('class="a"')
            + _LINE.format('class="b"')
            + _PLAIN,
            4 + 2 * 2 + 6,
        ),
    ],
)
def test_parts_stand_wherever_they_are_shown(inside, parts):
    assert _count(inside) == parts


@pytest.mark.parametrize(
    ("selector", "times"),
    [
        ("*", 3),
        ("g", 1),
        (".a", 1),
        ("g.a, path", 2),
        ("svg > .a:hover", 1),
        ("#p", 1),
        (".b", 0),
        ("path#p", 1),
        ("g#p", 0),
        (".c.a", 1),
        (".a.b", 0),
        ("#p.a", 0),
    ],
)
def test_style_sheets_show_things(selector, times):
    style = f"<style>/* {{ */ {selector} {{mask: url('#m')}}</style>"
    mask = '<mask id="m"><rect/></mask>'
    inside = '<g class="c a"/><path id="p"/>'
    assert _count(style + mask + inside) == 3 + 2 * times


def test_many_rules_are_each_for_their_own():
    """Trying each of them on each part would take minutes."""
    many = 20_000
    rules = "".join(f"#p{i}, path.a.c{i} {{mask: url(#m)}}" for i in range(many))
    paths = "".join(f'<path id="p{i}" class="a c{i}"/>' for i in range(many))
    mask = '<mask id="m"><rect/></mask>'
    assert _count(f"<style>{rules}</style>{mask}{paths}") == 1 + many + 2 * 2 * many


def test_references_may_be_as_deep_as_they_like():
    deep = "".join(f'<g id="a{i + 1}"><use href="#a{i}"/></g>' for i in range(20_000))
    assert _count('<g id="a0"/>' + deep) > 20_000


def test_few_bytes_that_would_be_many_parts_are_refused():
    assert _count(_TENS) > 10**8
    with pytest.raises(ValueError, match=f"more than {MOST_PARTS:,} parts"):
        picture_of(_SVG.format(_TENS).encode(), 8)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_names_for_texts_are_for_files_of_a_usual_size(encoding):
    head = f'\ufeff<?xml version="1.0" encoding="{encoding[:6]}"?>'
    entity = '<!DOCTYPE svg [<!ENTITY colour "blue">]>'
    drawing = _SVG.format('<rect width="8" height="8" fill="&colour;"/>{}')
    assert picture_of((head + entity + drawing.format("")).encode(encoding), 8)
    large = head + entity + drawing.format(" " * MOST_BYTES_WITH_ENTITIES)
    with pytest.raises(ValueError, match="names stand for texts"):
        picture_of(large.encode(encoding), 8)


def test_large_files_may_speak_of_names_for_texts():
    large = "<!-- <!ENTITY -->" + _SVG.format(" " * MOST_BYTES_WITH_ENTITIES)
    assert picture_of(large.encode(), 8)
