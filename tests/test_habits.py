"""What has to hold in the whole package, and in its tests."""

import ast
import functools
import pathlib

import pytest

pytestmark = pytest.mark.any_backend

TESTS = pathlib.Path(__file__).parent
PACKAGE = TESTS.parent / "semppl_keras"
_OPENING = ("open", "read_text", "write_text", "fdopen", "NamedTemporaryFile")
# Of modules, whose `open` takes no encoding.
_OTHERS = ("os", "Image", "PIL", "tarfile", "zipfile", "webbrowser", "archive")


@functools.cache
def _modules():
    return [
        (
            path.relative_to(PACKAGE).as_posix(),
            ast.parse(path.read_text(encoding="utf-8")),
        )
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


def _calls():
    for path, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield path, node


def _opens_text(call):
    function = call.func
    if isinstance(function, ast.Attribute):
        of = function.value
        if isinstance(of, ast.Name) and of.id in _OTHERS:
            return False
        name = function.attr
    else:
        name = getattr(function, "id", None)
    if name not in _OPENING:
        return False
    if name in ("read_text", "write_text"):
        return True
    mode = next((word.value for word in call.keywords if word.arg == "mode"), None)
    # `open(path, mode)`, but `path.open(mode)`.
    place = 1 if isinstance(function, ast.Name) else 0
    if mode is None and len(call.args) > place:
        mode = call.args[place]
    return not (isinstance(mode, ast.Constant) and "b" in str(mode.value))


def test_every_text_file_names_its_encoding():
    found, missing = 0, []
    for path, call in _calls():
        if not _opens_text(call):
            continue
        found += 1
        words = {word.arg for word in call.keywords}
        # `**form` may hold it.
        if not words & {"encoding", None}:
            missing.append(f"{path}:{call.lineno}")
    assert found > 10
    assert not missing


def _public_functions(body):
    """Functions and methods that others call, `__init__` and the like among them."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public_functions(node.body)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own = node.name.startswith("_") and not node.name.endswith("__")
            if not own:
                yield node


def test_public_functions_are_annotated():
    found, missing = 0, []
    for name, tree in _modules():
        for function in _public_functions(tree.body):
            found += 1
            taken = function.args
            parameters = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs]
            parameters += [one for one in (taken.vararg, taken.kwarg) if one]
            bare = [
                one.arg
                for one in parameters
                if one.annotation is None and one.arg not in ("self", "cls")
            ]
            if bare or function.returns is None:
                what = ", ".join(bare) or "what it returns"
                missing.append(f"{name}:{function.lineno} {function.name}: {what}")
    assert found > 100
    assert not missing


def _is_private(name):
    return name.startswith("_") and not name.endswith("__")


def _of_the_package(tree):
    """(what a test imports of the package, as the test names it, its line)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module.split(".")[0] == "semppl_keras":
                for alias in node.names:
                    yield f"{module}.{alias.name}", alias.asname or alias.name, node
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "semppl_keras":
                    yield alias.name, alias.asname or "semppl_keras", node


def _replaced(call):
    """The name that `monkeypatch.setattr` or its like replaces, or None."""
    function = call.func
    if not isinstance(function, ast.Attribute):
        return None
    if function.attr not in ("setattr", "delattr", "setitem"):
        return None
    for argument in call.args[:2]:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            return argument.value.split(".")[-1]
    return None


def _private_names(tree):
    """What a test knows of the package that is private, with its line."""
    known = set()
    for name, given, node in _of_the_package(tree):
        known.add(given)
        if any(_is_private(part) for part in name.split(".")):
            yield node.lineno, name
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _replaced(node)
            if name and _is_private(name):
                yield node.lineno, name
        elif isinstance(node, ast.Attribute) and _is_private(node.attr):
            of = node.value
            while isinstance(of, ast.Attribute):
                of = of.value
            if isinstance(of, ast.Name) and of.id in known:
                yield node.lineno, node.attr


def test_no_test_knows_a_private_name_of_the_package():
    found = []
    for path in sorted(TESTS.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [f"{path.name}:{at}: {name}" for at, name in _private_names(tree)]
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "from semppl_keras.cli import _parser",
        "from semppl_keras._hidden import parser",
        "import semppl_keras.cli as c\nc._parser()",
        "import semppl_keras\nsemppl_keras.cli._parser()",
        "from semppl_keras.runs import lock as l\npatch.setattr(l, '_SECONDS', 0)",
        "monkeypatch.setattr('semppl_keras.runs.safety.lock._SECONDS', 0)",
    ],
)
def test_a_private_name_is_found(text):
    assert len(list(_private_names(ast.parse(text)))) == 1
    for before in ". '":
        text = text.replace(f"{before}_", before)
    assert not list(_private_names(ast.parse(text)))


def test_what_runs_say_can_be_silenced():
    """`tell` alone prints, as much as `verbose` asks for."""
    found = {
        path
        for path, call in _calls()
        if path.startswith("runs/") and getattr(call.func, "id", None) == "print"
    }
    assert found == {"runs/telling.py"}
