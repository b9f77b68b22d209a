"""Every block of code of README.md and docs/ is run, or says why it is not."""

import shutil
import subprocess
import sys

import document_commands
import documents
import golden_files
import pytest
from documents import ROOT

pytestmark = pytest.mark.any_backend

PAGES = documents.pages()
LANGUAGES = ("python", "bash")
# Python that needs nothing of the README's, whose example trains for a minute.
BY_THEMSELVES = {"docs/how-to/methods-of-your-own.md", "docs/reference/backbones.md"}
# Commands of moments; those of other pages, with --runslow.
QUICK = {"docs/how-to/strangers.md"}


def typed(page):
    """The blocks of commands of a page that are run."""
    return [block for block in documents.code_blocks(page, "bash") if block.is_run]


def test_every_block_is_run_or_says_why_not():
    counts = {"run": 0, "run by": 0, "not run": 0}
    for page in PAGES:
        for language in LANGUAGES:
            for block in documents.code_blocks(page, language):
                where = f"{documents.name(page)}:{block.line}"
                if block.run_by:
                    counts["run by"] += 1
                    file = ROOT / block.run_by
                    assert file.is_file(), where
                    assert file.name.startswith("test_"), where
                elif block.not_run:
                    counts["not run"] += 1
                    assert len(block.not_run) > 10, where
                else:
                    counts["run"] += 1
                    if language == "bash":
                        document_commands.check(block.code, where)
    fences = sum(
        page.read_text(encoding="utf-8").count(f"\n```{language}\n")
        for page in PAGES
        for language in LANGUAGES
    )
    assert sum(counts.values()) == fences
    # Most of them are.
    assert counts["run"] > 2 * counts["not run"]


def test_what_stands_before_a_block_is_read(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- not run: needs a GPU, which few have -->\n```bash\nfast\n```\n\n"
        "<!-- before:\nx = 1\n-->\n```python\nassert x == 1\n```\n"
        "<!-- run by tests/test_docs.py -->\n```python\nfails\n```\n"
        "<!-- not run: far above -->\n\nWords.\n\n```python\nassert x == 1\n```\n",
        encoding="utf-8",
    )
    (fast,) = documents.code_blocks(page, "bash")
    assert (fast.not_run, fast.line) == ("needs a GPU, which few have", 3)
    first, second, third = documents.code_blocks(page, "python")
    assert first.before == "x = 1"
    assert (second.run_by, third.is_run) == ("tests/test_docs.py", True)
    documents.run_python([page])


def test_commands_are_told_from_remarks():
    code = "semppl a b   # words\n# a remark\nsemppl c \\\n    --d e  # more\n\n"
    assert list(document_commands.commands(code)) == [
        ["semppl", "a", "b"],
        ["semppl", "c", "--d", "e"],
    ]


@pytest.mark.parametrize("name", sorted(BY_THEMSELVES))
def test_python_that_needs_nothing_else_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    documents.run_python([ROOT / name])


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    """A folder with what the pages name, and finished runs; commands take moments."""
    folder = tmp_path_factory.mktemp("stand_ins")
    document_commands.write_stand_ins(folder)
    with document_commands.short_commands(folder):
        yield folder


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page,
            id=documents.name(page),
            marks=() if documents.name(page) in QUICK else pytest.mark.slow,
        )
        for page in PAGES
        if typed(page)
    ],
)
def test_commands_run(page, stand_ins, tmp_path, monkeypatch):
    folder = tmp_path / "work"
    shutil.copytree(stand_ins, folder)
    monkeypatch.chdir(folder)
    for block in typed(page):
        if "runs/digits" in block.code:
            document_commands.make_digits_runs()
        exec(block.before, {})
        for command in document_commands.commands(block.code):
            document_commands.run(command)


@pytest.mark.slow
def test_python_runs(stand_ins, tmp_path):
    folder = tmp_path / "work"
    shutil.copytree(stand_ins, folder)
    # Files of the published networks, with other numbers.
    golden_files.write_deepmind(
        folder / "pretrain_res50x1.pkl", golden_files.layout("resnet50_1x")
    )
    golden_files.write_simclr(
        folder / "r50_1x_sk1", golden_files.layout("simclrv2_r50_1x_sk1")
    )
    # Each goes on from the README's.
    subprocess.run([sys.executable, documents.__file__], cwd=folder, check=True)
    assert (folder / "digits.keras").exists()
    assert (folder / "classifier.keras").exists()
