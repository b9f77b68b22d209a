"""The reference of the site: each public name is on it, and its docstring fits it."""

import ast
import functools
import re

import documents
import pytest
from documents import ROOT

pytestmark = pytest.mark.any_backend

PACKAGE = ROOT / "semppl_keras"
FOLDER = ROOT / "docs" / "reference" / "python"
NAMESPACES = sorted(stub.parent.name for stub in PACKAGE.glob("*/__init__.pyi"))

_DIRECTIVE = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
# Of a section of a docstring, with the names that one entry is of.
_ARGUMENTS = re.compile(r"^Args:\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^    (\**\w+(?:,\s+\**\w+)*):(?=\s)", re.MULTILINE)


@functools.cache
def _tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def public_names(namespace):
    """What the stub of a namespace names, without importing it."""
    statements = _tree(PACKAGE / namespace / "__init__.pyi").body
    return [alias.asname for statement in statements for alias in statement.names]


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_namespace_s_page_has_all_of_its_names(namespace):
    page = FOLDER / f"{namespace}.md"
    listed = []
    for directive in _DIRECTIVE.findall(page.read_text(encoding="utf-8")):
        prefix = f"semppl_keras.{namespace}."
        assert directive.startswith(prefix), directive
        listed.append(directive.removeprefix(prefix))
    assert sorted(listed) == sorted(public_names(namespace))


def test_every_namespace_has_its_page_and_each_page_its_place():
    pages = {page.stem for page in FOLDER.glob("*.md")}
    assert pages == {*NAMESPACES, "semppl_keras"}
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"([\w/-]+\.md)$", navigation, re.MULTILINE)
    # The notebooks are made pages when the site is built.
    made = {f"tutorials/{path.stem}.md" for path in ROOT.glob("examples/*.ipynb")}
    there = {
        page.relative_to(ROOT / "docs").as_posix()
        for page in documents.pages()
        if page != documents.README
    }
    assert sorted(listed) == sorted(there | made)


def test_the_first_page_names_the_models_of_the_package():
    text = (FOLDER / "semppl_keras.md").read_text(encoding="utf-8")
    statements = _tree(PACKAGE / "__init__.pyi").body
    names = {alias.asname for line in statements for alias in line.names}
    assert {name for name in names if f"{name}`" not in text} <= set(NAMESPACES)


def documented():
    """(where, docstring, names of its arguments or None) of functions and classes."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                text = ast.get_docstring(node)
                if text and "Args:" in text:
                    yield f"{documents.name(path)}:{node.name}", text, _arguments(node)


def _arguments(node):
    """Names of a function's arguments, or of a class's constructor.

    Returns:
        A set; None where it cannot be told: of further keywords that are handed on,
        and of a class without one, which is a dataclass or inherits it.
    """
    if isinstance(node, ast.ClassDef):
        made = [part for part in node.body if getattr(part, "name", "") == "__init__"]
        return _arguments(made[0]) if made else None
    given = node.args
    if given.kwarg:
        return None
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    every += [given.vararg] if given.vararg else []
    return {argument.arg for argument in every}


def test_arguments_that_are_described_are_there():
    wrong = []
    for where, text, arguments in documented():
        for names in _ENTRY.findall(_ARGUMENTS.search(text)[1]):
            for name in re.findall(r"\w+", names):
                if arguments is not None and name not in arguments:
                    wrong.append(f"{where}: {name}")
    assert not wrong, wrong
