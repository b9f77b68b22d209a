"""How much an SVG drawing becomes before it is drawn, told without drawing it.

What draws it writes out whatever a drawing shows several times: a few hundred bytes of
references to references can be more parts than any memory holds. That is counted here,
on every system; of the memory that is taken in the end only Linux knows a limit.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
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
_SELECTED = re.compile(r"([.#]?)([\w-]+)")
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

    Where markers are drawn at the corners of lines, all of them count at each corner of
    every line: that is rather too many.

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
    sheets = [one.text or "" for one in elements if _local(one.tag) == "style"]
    # By a class that they ask for: there may be many of them, and of elements.
    rules: dict[str, list[_Rule]] = {}
    for rule in (rule for sheet in sheets for rule in _rules(sheet)):
        rules.setdefault(next(iter(rule.classes), ""), []).append(rule)
    shown = {
        one: [by_id[name] for name in _referred(one, rules) if name in by_id]
        for one in elements
    }
    counted = _parts(root, shown, dict.fromkeys(elements, 1))
    if any(map(_MARKED.search, sheets)) or any(map(_marks_corners, elements)):
        marks = sum(counted[one] for one in elements if _local(one.tag) == "marker")
        weights = {one: 1 + marks * _corners(one) for one in elements}
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
    """To which elements a rule of a style sheet may apply, and what it refers to."""

    tags: frozenset[str]
    ids: frozenset[str]
    classes: frozenset[str]
    names: list[str]

    def applies(self, element: ElementTree.Element) -> bool:
        return (
            self.tags <= {_local(element.tag)}
            and self.ids <= {element.get("id", "")}
            and self.classes <= set(element.get("class", "").split())
        )


def _rules(sheet: str) -> Iterator[_Rule]:
    for selectors, declarations in _RULE.findall(_COMMENT.sub("", sheet)):
        names = _URL.findall(declarations)
        if not names:
            continue
        for selector in selectors.split(","):
            parts = re.split(r"[\s>+~]+", selector.strip())
            # What is said in brackets, or behind a colon, is taken to hold.
            found = _SELECTED.findall(re.sub(r"[\[:].*", "", parts[-1]))
            tags, ids, classes = (
                frozenset(name for sign, name in found if sign == kind)
                for kind in ("", "#", ".")
            )
            yield _Rule(tags, ids, classes, names)


def _referred(
    element: ElementTree.Element, rules: Mapping[str, list[_Rule]]
) -> Iterator[str]:
    for name, value in element.attrib.items():
        yield from _URL.findall(value)
        if _local(name) == "href" and value.strip().startswith("#"):
            yield value.strip()[1:]
    for name in {"", *element.get("class", "").split()}:
        for rule in rules.get(name, ()):
            if rule.applies(element):
                yield from rule.names


def _marks_corners(element: ElementTree.Element) -> bool:
    return any(name in element.attrib for name in _MARKS) or bool(
        _MARKED.search(element.get("style", ""))
    )


def _corners(element: ElementTree.Element) -> int:
    """At least as many as the line that an element is has."""
    text = element.get("d") or element.get("points") or ""
    return len(_NUMBER.findall(text)) // 2


def _local(name: object) -> str:
    """A name without its namespace."""
    return str(name).rpartition("}")[2]
