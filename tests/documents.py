"""README.md and the pages of docs/: their headings, links and blocks of code.

python tests/documents.py    runs the Python blocks of all of them, in this folder
"""

import pathlib
import re

ROOT = pathlib.Path(__file__).parent.parent
README = ROOT / "README.md"
CONTENTS = ROOT / "docs" / "README.md"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def pages():
    """The paths of all pages, the README first."""
    return [README, *sorted((ROOT / "docs").rglob("*.md"))]


def name(page):
    """A page's path below the root, with slashes."""
    return page.relative_to(ROOT).as_posix()


def blocks(page, language):
    """(number of the first line, code) of each block of a language."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        if match[1] == language:
            yield text[: match.start(2)].count("\n") + 1, match[2]


def prose(page):
    """A page's text without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page):
    """Where the links and pictures of a page lead, as it is written there."""
    return _LINK.findall(re.sub(r"`[^`]*`", "", prose(page)))


def anchors(page):
    """What may stand behind # in a link to a page, as GitHub makes it of headings."""
    found = []
    for heading in _HEADING.findall(prose(page)):
        text = _LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading)
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        # A heading that comes again is numbered.
        again = sum(re.fullmatch(rf"{anchor}(-\d+)?", one) is not None for one in found)
        found.append(f"{anchor}-{again}" if again else anchor)
    return found


def run_python():
    """Runs the Python blocks: those of a page go on from each other, and from the
    README's, but not from those of other pages."""
    readme = {}
    for page in pages():
        names = readme if page == README else dict(readme)
        for line, code in blocks(page, "python"):
            # The empty lines have a traceback tell the line of the page.
            code = "\n" * (line - 1) + code
            exec(compile(code, page, "exec"), names)


if __name__ == "__main__":
    run_python()
