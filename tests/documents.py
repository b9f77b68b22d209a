"""README.md and the pages of docs/: their headings, links and blocks of code.

python tests/documents.py    runs the Python blocks of all of them, in this folder

Each block of Python or bash is run by the tests, but for those behind a comment that
says why not, or which test does:

    <!-- not run: a GPU is needed -->
    <!-- run by tests/test_examples.py -->

And what a reader has by then is made in another one, of Python, which no page shows:

    <!-- before:
    images = data.x_unlabelled
    -->
"""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).parent.parent
README = ROOT / "README.md"
CONTENTS = ROOT / "docs" / "README.md"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^<!-- ?(not run|run by|before):?\s(.*?)-->\n\Z", re.M | re.S)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LONG = re.compile(r"\bsteps=\d{3,}\b")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def pages():
    """The paths of all pages, the README first."""
    return [README, *sorted((ROOT / "docs").rglob("*.md"))]


def name(page):
    """A page's path below the root, with slashes."""
    return page.relative_to(ROOT).as_posix()


@dataclasses.dataclass(frozen=True)
class Block:
    """Code of a page.

    Args:
        line: number of its first line.
        code: of the block.
        before: Python that is run before it.
        not_run: why it is not run by the tests, or "".
        run_by: the test file that runs it in another way, or "".
    """

    line: int
    code: str
    before: str = ""
    not_run: str = ""
    run_by: str = ""

    @property
    def is_run(self):
        return not (self.not_run or self.run_by)


def code_blocks(page, language):
    """The blocks of a language, with what the comment before each says."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        if match[1] == language:
            above = text[: match.start()]
            # The last comment, not all from the first one on.
            above = above[max(above.rfind("<!--"), 0) :]
            said = _COMMENT.match(above)
            kind = {said[1].replace(" ", "_"): said[2].strip()} if said else {}
            line = text[: match.start(2)].count("\n") + 1
            yield Block(line, match[2], **kind)


def blocks(page, language):
    """(number of the first line, code) of each block of a language."""
    for block in code_blocks(page, language):
        yield block.line, block.code


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


def run_python(chosen):
    """Runs the Python blocks: those of a page go on from each other, and from the
    README's where it is among them, but not from those of other pages. Where one asks
    for hundreds of steps and more, it is given 50.

    Args:
        chosen: pages, the README first if at all.
    """
    readme = {}
    for page in chosen:
        names = readme if page == README else dict(readme)
        for block in code_blocks(page, "python"):
            if block.is_run:
                exec(block.before, names)
                # The empty lines have a traceback tell the line of the page.
                code = "\n" * (block.line - 1) + _LONG.sub("steps=50", block.code)
                exec(compile(code, page, "exec"), names)


if __name__ == "__main__":
    run_python(pages())
