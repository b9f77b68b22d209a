"""What has to hold in the whole package for it to work on other systems."""

import ast
import pathlib

import pytest

pytestmark = pytest.mark.any_backend

PACKAGE = pathlib.Path(__file__).parent.parent / "semppl_keras"
_OPENING = ("open", "read_text", "write_text", "fdopen", "NamedTemporaryFile")
# Of modules, whose `open` takes no encoding.
_OTHERS = ("os", "Image", "PIL", "tarfile", "zipfile", "webbrowser", "archive")


def _calls():
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield path.relative_to(PACKAGE).as_posix(), node


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


# Rooms and files whose public functions say what they take and give.
ANNOTATED = (
    "around_imports.py",
    "registration.py",
    "backbones",
    "checkpoints",
    "cli",
    "export",
    "views",
)


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
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.partition("/")[0] not in ANNOTATED:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
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


def test_what_runs_say_can_be_silenced():
    """`tell` alone prints, as much as `verbose` asks for."""
    found = {
        path
        for path, call in _calls()
        if path.startswith("runs/") and getattr(call.func, "id", None) == "print"
    }
    assert found == {"runs/telling.py"}
