"""How much an SVG drawing becomes before it is drawn, told without drawing it.

What draws it writes out whatever a drawing shows several times: a few hundred bytes of
references to references can be more parts than any memory holds. That is counted here,
on every system; of the memory that is taken in the end only Linux knows a limit.
"""

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.parsers import expat

# Parts that are drawn take less than a KB each: together less than a GB.
MOST_PARTS = 1_000_000
# What a short name stands for is written out wherever it stands, up to a hundred times
# the file (which Expat sees to): of a larger file that may be too much.
MOST_BYTES_WITH_ENTITIES = 1_000_000
# Bytes that are read at once while such names are looked for.
_PIECE = 1 << 16

# Shown where something refers to them alone.
_DEFINITIONS = frozenset(
    (
        "clipPath",
        "defs",
        "filter",
        "linearGradient",
        "marker",
        "mask",
        "pattern",
        "radialGradient",
        "style",
        "symbol",
    )
)

_URL = re.compile(r"url\(\s*['\"]?\s*#([^'\")]+?)\s*['\"]?\s*\)")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
# Of a selector what tells the element itself; the rest would make it fewer.
_SELECTED = re.compile(r"[.#]?[\w-]+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+")
# One marker is drawn at each corner of a line, where it is not told for its ends alone.
_MARKED = re.compile(r"marker(-mid)?\s*:\s*url\(")
_MARKS = ("marker", "marker-mid")


def check_entities(content: bytes) -> None:
    """Raises a `ValueError` where names may stand for more than is to be read.

    Args:
        content: What the file of a drawing has.
    """
    if len(content) > MOST_BYTES_WITH_ENTITIES and _declares_entities(content):
        raise ValueError(
            f"it is an SVG of more than {MOST_BYTES_WITH_ENTITIES:,} bytes in which "
            "names stand for texts (ENTITY)"
        )


class _Enough(Exception):
    """Ends a look into XML."""


def _declares_entities(content: bytes) -> bool:
    """Asks what reads the file, which knows more encodings than one."""
    names = []

    def declared(name: str, *told: Any) -> None:
        names.append(name)
        raise _Enough

    def begun(*told: Any) -> None:
        # Names are declared before the first element.
        raise _Enough

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = declared
    parser.StartElementHandler = begun
    # Of what is no XML the reason is told where all of it is read.
    with contextlib.suppress(_Enough, expat.ExpatError):
        for start in range(0, len(content), _PIECE):
            parser.Parse(content[start : start + _PIECE])
    return bool(names)


def check_parts(root: ElementTree.Element) -> None:
    """Raises a `ValueError` where a drawing has too many parts, written out.

    Args:
        root: Of what was parsed.
    """
    if count_parts(root) > MOST_PARTS:
        raise ValueError(f"it is an SVG of more than {MOST_PARTS:,} parts, written out")


def count_parts(root: ElementTree.Element) -> int:
    """How many elements a drawing has where each stands wherever it is shown.

    Where markers are drawn at the corners of a line, all that there are count at each
    of its corners: that is rather too many.

    Args:
        root: Of what was parsed.

    Example:
        >>> count_parts(ElementTree.fromstring(
        ...     '<svg><g id="a"><path/></g><use href="#a"/><use href="#a"/></svg>'
        ... ))
        9
    """
    elements = list(root.iter())
    by_id = {name: one for one in elements if (name := one.get("id")) is not None}
    names = {one: _names(one) for one in elements}
    sheets = [one.text or "" for one in elements if _local(one.tag) == "style"]
    rules = _by_rarest(
        [rule for sheet in sheets for rule in _rules(sheet)], names.values()
    )
    applied = {one: list(_applied(names[one], rules)) for one in elements}
    shown = {
        one: [by_id[name] for name in _referred(one, applied[one]) if name in by_id]
        for one in elements
    }
    counted = _parts(root, shown, dict.fromkeys(elements, 1))
    marked = _with_heirs(
        [one for one in elements if _marks_corners(one, applied[one])], by_id
    )
    if marked:
        marks = sum(counted[one] for one in elements if _local(one.tag) == "marker")
        weights = {
            one: 1 + (marks * _corners(one) if one in marked else 0) for one in elements
        }
        counted = _parts(root, shown, weights)
    return counted[root]


def _parts(
    root: ElementTree.Element,
    shown: Mapping[ElementTree.Element, list[ElementTree.Element]],
    weights: Mapping[ElementTree.Element, int],
) -> dict[ElementTree.Element, int]:
    """By element the weights of all that is in it, and of what it shows besides; a
    reference to what it stands in shows nothing."""
    counted: dict[ElementTree.Element, int] = {}
    open_ones: set[ElementTree.Element] = set()
    # References may be thousands deep, which no recursion is.
    stack = [root]
    while stack:
        element = stack[-1]
        if element in counted:
            stack.pop()
            continue
        if element not in open_ones:
            open_ones.add(element)
            stack += [
                one
                for one in (*element, *shown[element])
                if one not in counted and one not in open_ones
            ]
            continue
        stack.pop()
        open_ones.remove(element)
        inside = [one for one in element if _local(one.tag) not in _DEFINITIONS]
        counted[element] = weights[element] + sum(
            counted.get(one, 0) for one in (*inside, *shown[element])
        )
    return counted


class _Rule(NamedTuple):
    """A rule of a style sheet.

    Attributes:
        asked: of `_names`, those that an element must have for it to apply.
        shown: the ids that it refers to.
        marks: whether it puts markers at corners.
    """

    asked: frozenset[str]
    shown: list[str]
    marks: bool


def _names(element: ElementTree.Element) -> set[str]:
    """By which a rule may select an element, as selectors write them; "" is for all."""
    names = {"", _local(element.tag)}
    names.update(f".{name}" for name in element.get("class", "").split())
    if name := element.get("id"):
        names.add(f"#{name}")
    return names


def _rules(sheet: str) -> Iterator[_Rule]:
    for selectors, declarations in _RULE.findall(_COMMENT.sub("", sheet)):
        shown = _URL.findall(declarations)
        if not shown:
            continue
        marks = bool(_MARKED.search(declarations))
        for selector in selectors.split(","):
            parts = re.split(r"[\s>+~]+", selector.strip())
            # What is said in brackets, or behind a colon, is taken to hold.
            asked = _SELECTED.findall(re.sub(r"[\[:].*", "", parts[-1]))
            yield _Rule(frozenset(asked), shown, marks)


def _by_rarest(
    rules: Iterable[_Rule], names: Iterable[set[str]]
) -> dict[str, list[_Rule]]:
    """Rules by that of the names they ask for which the fewest elements have: there may
    be many rules, and many elements to try them on."""
    holders = Counter(name for own in names for name in own)
    found: dict[str, list[_Rule]] = {}
    for rule in rules:
        rarest = min(rule.asked, key=holders.__getitem__, default="")
        found.setdefault(rarest, []).append(rule)
    return found


def _applied(names: set[str], rules: Mapping[str, list[_Rule]]) -> Iterator[_Rule]:
    for name in names:
        for rule in rules.get(name, ()):
            if rule.asked <= names:
                yield rule


def _referred(element: ElementTree.Element, applied: Iterable[_Rule]) -> Iterator[str]:
    for value in element.attrib.values():
        yield from _URL.findall(value)
    yield from _hrefs(element)
    for rule in applied:
        yield from rule.shown


def _hrefs(element: ElementTree.Element) -> Iterator[str]:
    for name, value in element.attrib.items():
        if _local(name) == "href" and value.strip().startswith("#"):
            yield value.strip()[1:]


def _marks_corners(element: ElementTree.Element, applied: Iterable[_Rule]) -> bool:
    return (
        any("url(" in element.get(name, "") for name in _MARKS)
        or bool(_MARKED.search(element.get("style", "")))
        or any(rule.marks for rule in applied)
    )


def _with_heirs(
    elements: Iterable[ElementTree.Element],
    by_id: Mapping[str, ElementTree.Element],
) -> set[ElementTree.Element]:
    """Elements, and those that inherit from them: what is in them or used by them."""
    found: set[ElementTree.Element] = set()
    stack = list(elements)
    while stack:
        element = stack.pop()
        if element not in found:
            found.add(element)
            stack += element
            stack += [by_id[name] for name in _hrefs(element) if name in by_id]
    return found


def _corners(element: ElementTree.Element) -> int:
    """At least as many as the line that an element is has."""
    text = element.get("d") or element.get("points") or ""
    return len(_NUMBER.findall(text)) // 2


def _local(name: object) -> str:
    """A name without its namespace."""
    return str(name).rpartition("}")[2]
