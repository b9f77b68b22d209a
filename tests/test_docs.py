"""README.md and docs/: what they link to, name and tell to type is there."""

import contextlib
import functools
import importlib
import io
import itertools
import operator
import re

import documents
import pytest
from documents import CONTENTS, README, ROOT

import semppl_keras
from semppl_keras.cli import main
from semppl_keras.recipes.classifiers import METHODS
from semppl_keras.recipes.named_consistency import CONSISTENCY_METHODS

pytestmark = pytest.mark.any_backend

PAGES = documents.pages()
COMMAND_LINE = ROOT / "docs" / "reference" / "command-line.md"
PACKAGE = ROOT / "docs" / "reference" / "package.md"
PYTHON_API = ROOT / "docs" / "reference" / "python-api.md"
CONSISTENCY = ROOT / "docs" / "how-to" / "consistency-training.md"
FORMULAS = ROOT / "docs" / "methods" / "consistency.md"
INSTEAD_OF = ROOT / "docs" / "how-to" / "instead-of.md"

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z\d-]*")

every_page = pytest.mark.parametrize("page", PAGES, ids=documents.name)


@functools.cache
def help_of(*command):
    """What `semppl COMMAND --help` prints."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    return text.getvalue()


def options_of(*command):
    """The long options of a command, or of all of them, from the help."""
    listed = re.findall(r"^  (?:-\w(?: \w+)?, )?(--[a-z-]+)", help_of(*command), re.M)
    return set(listed) - {"--help"}


def commands():
    listed = re.search(r"^commands:\n(.*)", help_of(), re.MULTILINE | re.DOTALL)[1]
    return re.findall(r"^    ([a-z]+) ", listed, re.MULTILINE)


def sections_of(page):
    """A page's sections by their headings, in its order."""
    text = documents.prose(page)
    return dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) < 200


@every_page
def test_links_lead_somewhere(page):
    lost = []
    for link in documents.links(page):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in documents.anchors(target)):
            lost.append(link)
    assert not lost


def test_anchors_are_those_of_github(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Crashes, Ctrl-C, divergence\n## The `fit` of [it](there.md)\n## Twice\n"
        "```bash\n# no heading\n```\n## Twice\n",
        encoding="utf-8",
    )
    assert documents.anchors(page) == [
        "crashes-ctrl-c-divergence",
        "the-fit-of-it",
        "twice",
        "twice-1",
    ]


def test_the_contents_have_every_page():
    linked = {(CONTENTS.parent / link).resolve() for link in documents.links(CONTENTS)}
    assert set(PAGES) - {CONTENTS} <= linked


@every_page
def test_pages_begin_with_what_they_are_for(page):
    title, empty, sentence = page.read_text(encoding="utf-8").splitlines()[:3]
    assert re.match(r"# \S", title)
    assert empty == ""
    assert re.match(r"[A-Z].{30,}", sentence)


@every_page
def test_a_page_s_own_contents_have_each_of_its_sections(page):
    listed = re.findall(r"^- \[([^\]]+)\]\(#", documents.prose(page), re.MULTILINE)
    sections = re.findall(r"^## (.+)$", documents.prose(page), re.MULTILINE)
    assert not listed or listed == sections


@every_page
def test_files_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(
        r"(?<![\w./])(?:semppl_keras|benchmarks|tests|examples|\.ci)/[\w./]*\w/?", text
    )
    assert not [path for path in named if not (ROOT / path).exists()]


def test_pages_that_the_code_names_exist():
    lost = []
    for folder in ("semppl_keras", "benchmarks", "examples", "tests"):
        for file in (ROOT / folder).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            for path in re.findall(r"\bdocs/[\w/-]+\.md", text):
                if not (ROOT / path).exists():
                    lost.append(f"{documents.name(file)}: {path}")
    assert not lost


def test_every_package_has_its_line():
    package = ROOT / "semppl_keras"
    folders = {documents.name(file.parent) for file in package.rglob("*.py")}
    lines = re.findall(r"^\| `(.+?)/?` \|", documents.prose(PACKAGE), re.MULTILINE)
    assert folders - {package.name} <= set(lines)


@every_page
def test_names_of_the_package_exist(page):
    text = page.read_text(encoding="utf-8")
    lost = []
    for name in re.findall(r"(?<![\w./])semppl_keras\.([A-Za-z_][\w.]*\w)", text):
        try:
            operator.attrgetter(name)(semppl_keras)
        except AttributeError:
            lost.append(name)
    assert not lost


def test_the_python_reference_names_what_is_there():
    rows = re.findall(
        r"^\| `(semppl_keras[\w.]*)` \| (.*) \|$", documents.prose(PYTHON_API), re.M
    )
    assert len(rows) > 10
    lost = []
    for namespace, names in rows:
        module = importlib.import_module(namespace)
        for name in re.findall(r"`([A-Za-z_]\w*)`", names):
            if not hasattr(module, name):
                lost.append(f"{namespace}.{name}")
    assert not lost


@every_page
def test_python_blocks_are_python(page):
    for line, code in documents.blocks(page, "python"):
        compile("\n" * (line - 1) + code, page, "exec")


def typed(page):
    """What a page tells to type: lines of its blocks, and words set as code."""
    for _, block in documents.blocks(page, "bash"):
        yield from block.splitlines()
    yield from re.findall(r"`([^`]+)`", documents.prose(page))


@every_page
def test_commands_are_known_with_their_options(page):
    for line in typed(page):
        called = re.search(r"(?:^|[/\s])semppl\s+([a-z]+)\b([^#]*)", line)
        if called:
            assert called[1] in commands(), line
            assert set(OPTION.findall(called[2])) <= options_of(called[1]), line


@every_page
def test_scripts_know_their_options(page):
    for line in typed(page):
        scripts = re.findall(r"\b(?:benchmarks|examples)/\w+\.py", line)
        if scripts:
            text = "".join((ROOT / script).read_text() for script in scripts)
            unknown = [one for one in OPTION.findall(line) if f'"{one}"' not in text]
            assert not unknown, line


@every_page
def test_options_belong_to_something(page):
    known = {"--help", "--runslow"}.union(options_of(), *map(options_of, commands()))
    scripts = (
        ROOT.glob(f"{folder}/*.py") for folder in ("benchmarks", "examples", ".ci")
    )
    for script in itertools.chain(*scripts):
        known.update(re.findall(r'"(--[a-z\d-]+)"', script.read_text(encoding="utf-8")))
    for line in typed(page):
        assert set(OPTION.findall(line)) <= known, line


def test_the_reference_of_the_command_line_has_every_option():
    def named(section):
        """What stands in the first column of a section's tables."""
        rows = re.findall(r"^\| (`-.*?`) \|", section, re.MULTILINE)
        return set(OPTION.findall(" ".join(rows)))

    sections = sections_of(COMMAND_LINE)
    every = named(sections["Options of every command"])
    assert every == options_of() - {"--version", "--print-completion"}
    for command in commands():
        options = named(sections.pop(f"semppl {command}"))
        assert options == options_of(command) - every, command
    assert not [title for title in sections if title.startswith("semppl ")]


def test_every_recipe_of_consistency_training_has_its_row_and_its_formulas():
    rows = re.findall(
        r"^\| `(\w+)` \|", sections_of(CONSISTENCY)["Methods"], re.MULTILINE
    )
    assert rows == list(CONSISTENCY_METHODS)
    titles = {title.lower().replace("-", "_"): title for title in sections_of(FORMULAS)}
    assert [name for name in titles if name in CONSISTENCY_METHODS] == rows
    # And its name in what else lists all of them.
    command = sections_of(COMMAND_LINE)["semppl finetune"]
    for name in rows:
        assert titles[name] in command
        assert titles[name] in documents.prose(FORMULAS).split("\n- [")[0]
    words = r"\|".join(METHODS)
    assert f"`--method {words}`" in command
    count = f"| semi-supervised classifiers | {len(rows)} recipes,"
    assert count in documents.prose(INSTEAD_OF)
