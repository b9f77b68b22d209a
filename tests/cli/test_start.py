"""What is imported when: by parsing, by the package, by Keras; and what is heard of it.

In fresh processes, whose modules are counted: how long it takes differs by machine.
"""

import ast
import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap

import keras
import pytest
from short_run import write_own_images

import semppl_keras
from semppl_keras.cli import main, parser
from semppl_keras.registration import CLASSES

ROOT = pathlib.Path(__file__).parents[2]
SAVED = ROOT / "tests" / "data" / "version_0_1"

BACKENDS = ("tensorflow", "jax", "torch")

COMMANDS = {
    "train": [],
    "evaluate": ["RUN"],
    "import": ["CHECKPOINT"],
    "export": ["RUN", "--format", "keras"],
    "label": ["RUN", "DIR"],
    "views": ["DIR"],
    "report": ["RUN"],
    "finetune": ["RUN"],
    "distil": ["RUN"],
    "pack": ["RUN", "FILE.zip"],
}

# What parsing must not need: it is not even installed.
HEAVY = (
    *("keras", "numpy", "scipy", "sklearn", "matplotlib", "PIL", "tensorboard"),
    *("threadpoolctl", *BACKENDS),
)

# Prints what was imported from elsewhere than the standard library.
OTHERS = """
import sys
before = set(sys.modules)
{code}
others = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(sorted(others - sys.stdlib_module_names), file=sys.__stdout__)
"""

# An installation that lacks packages.
WITHOUT = """
from importlib.machinery import PathFinder

find = PathFinder.find_spec

def find_others(cls, name, *arguments):
    if name.partition(".")[0] in {missing!r}:
        return None
    return find(name, *arguments)

PathFinder.find_spec = classmethod(find_others)
"""


def run(code, *arguments, missing=(), **variables):
    """A fresh process in which some packages are not installed."""
    environment = {**os.environ, **variables}
    for name, value in variables.items():
        if value is None:
            del environment[name]
    return subprocess.run(
        [
            sys.executable,
            "-c",
            WITHOUT.format(missing=tuple(missing)) + textwrap.dedent(code),
            *map(str, arguments),
        ],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def printed(code, *arguments, **options):
    """What the process prints, which has to end well."""
    done = run(code, *arguments, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.any_backend
def test_parsing_imports_nothing_heavy():
    code = f"""
    import contextlib, io
    from semppl_keras.cli import main
    for words in (["--version"], ["--help"], *([c, "--help"] for c in {[*COMMANDS]})):
        with contextlib.redirect_stdout(io.StringIO()) as told:
            try:
                main(words)
            except SystemExit as exit:
                assert exit.code == 0
        assert told.getvalue().startswith(("usage: semppl", "semppl_keras ")), words
    """
    assert (
        printed(OTHERS.format(code=textwrap.dedent(code)), missing=HEAVY)
        == "['lazy_loader', 'semppl_keras']\n"
    )


WRONG = {
    "train": ["--batch-size", "1"],
    "evaluate": ["RUN", "--robustness", "--severities", "1,9"],
    "import": ["CHECKPOINT", "--family", "nobody"],
    "export": ["RUN", "--format", "clay"],
    "label": ["RUN", "DIR", "--min-confidence", "2"],
    "views": ["DIR", "--draws", "0"],
    "finetune": ["RUN", "--epochs", "0"],
    "distil": ["RUN", "--epochs", "0"],
}


@pytest.mark.any_backend
def test_a_wrong_value_is_told_before_the_backend_is_loaded():
    code = f"""
    import contextlib, io
    from semppl_keras.cli import main
    for command, words in {WRONG!r}.items():
        with contextlib.redirect_stderr(io.StringIO()) as told:
            assert main([command, *words]) == 2
        assert told.getvalue().startswith(f"semppl {{command}}: error: {{words[-2]}} ")
        assert words[-1] in told.getvalue()
    """
    # The options of the others are paths: nothing is wrong with most texts.
    assert {*WRONG, "report", "pack"} == {*COMMANDS}
    assert (
        printed(OTHERS.format(code=textwrap.dedent(code)), missing=HEAVY)
        == "['lazy_loader', 'semppl_keras']\n"
    )


@pytest.mark.any_backend
def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as exit_status:
        main(["--version"])
    assert exit_status.value.code == 0
    assert capsys.readouterr().out == f"semppl_keras {semppl_keras.__version__}\n"


@pytest.mark.any_backend
def test_the_package_imports_what_is_used():
    code = """
    import semppl_keras
    import semppl_keras.backbones, semppl_keras.runs, semppl_keras.evaluation
    assert "SemPPL" in dir(semppl_keras)
    assert "knn_accuracy" in dir(semppl_keras.evaluation)
    assert semppl_keras.runs.RunError.__mro__[1] is ValueError
    """
    assert (
        printed(OTHERS.format(code=textwrap.dedent(code)))
        == "['lazy_loader', 'semppl_keras']\n"
    )


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "stub", sorted((ROOT / "semppl_keras").rglob("__init__.pyi")), ids=str
)
def test_every_name_of_a_package_is_there(stub):
    """A function also where the module that has it is of the same name."""
    package = ".".join(stub.parent.relative_to(ROOT).parts)
    module = __import__(package, fromlist=["__name__"])
    names = [
        alias.asname
        for node in ast.parse(stub.read_text(encoding="utf-8")).body
        for alias in node.names
    ]
    assert sorted(names) == dir(module)
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        for alias in node.names:
            source = f"{package}.{node.module}" if node.module else package
            value = getattr(module, alias.name)
            if node.module:
                origin = __import__(source, fromlist=[alias.name])
                assert value is getattr(origin, alias.name)
            else:
                assert value is sys.modules[f"{package}.{alias.name}"]


@pytest.mark.any_backend
def test_registered_classes_are_listed():
    found = {}
    for path in sorted((ROOT / "semppl_keras").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            decorators = getattr(node, "decorator_list", ())
            if any("register_keras_serializable" in ast.dump(d) for d in decorators):
                # A function is found by no stand-in.
                assert isinstance(node, ast.ClassDef)
                module = path.relative_to(ROOT).with_suffix("")
                found[node.name] = ".".join(module.parts)
    assert found == CLASSES


LOADING = """
{imports}
import json, sys
saved = sys.argv[1:]
models = [keras.saving.load_model(path, compile=False) for path in saved]
print(json.dumps([
    [f"{{type(model).__module__}}.{{type(model).__name__}}" for model in models],
    [keras.saving.get_registered_name(type(model.views)) for model in models],
    [type(finder).__name__ for finder in sys.meta_path],
    type(keras.__spec__.loader).__name__,
]))
"""


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "imports",
    [
        "import semppl_keras, keras",
        "import keras, semppl_keras",
        # Keras is imported by the module that is being imported, and needs others of
        # the same package that need this one.
        "import semppl_keras.networks.encoder\nimport keras",
    ],
)
def test_keras_finds_the_classes_in_saved_models(imports):
    code = LOADING.format(imports=imports)
    # Keras would import TensorFlow, too.
    others = {*BACKENDS} - {keras.backend.backend()}
    saved = (SAVED / "semppl.keras", SAVED / "fine_tuner.keras")
    told = printed(code, *saved, missing=others)
    classes, views, finders, loader = json.loads(told.splitlines()[-1])
    assert classes == [
        "semppl_keras.pretraining.semppl.SemPPL",
        "semppl_keras.classifiers.fine_tuner.FineTuner",
    ]
    assert views == ["semppl_keras>MultiCrop"] * 2
    # Nothing is left of what has waited for Keras.
    assert "AroundImports" not in finders
    assert loader == "SourceFileLoader"


@pytest.mark.any_backend
def test_threads_import_keras_and_the_package_at_once():
    code = """
    import importlib, sys, threading, time
    from importlib.machinery import PathFinder

    class Slow:
        # Keras stays half imported until the other thread has looked at it.
        def find_spec(name, path, target=None):
            spec = PathFinder.find_spec(name, path, target)
            if name == "keras.src":
                began.set()
                time.sleep(0.3)
            return spec

    began, failed = threading.Event(), []

    def importing(name):
        try:
            importlib.import_module(name)
        except BaseException as error:
            failed.append(repr(error))

    sys.meta_path.insert(0, Slow)
    threads = [threading.Thread(target=importing, args=("keras",))]
    threads[0].start()
    began.wait(60)
    threads += [
        threading.Thread(target=importing, args=(name,))
        for name in ("semppl_keras", "semppl_keras.networks.encoder")
    ]
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    import keras
    print(failed, type(keras.saving.load_model(sys.argv[1], compile=False)))
    """
    # Keras would import TensorFlow, too.
    others = {*BACKENDS} - {keras.backend.backend()}
    told = printed(code, SAVED / "semppl.keras", missing=others)
    assert told.splitlines()[-1] == (
        "[] <class 'semppl_keras.pretraining.semppl.SemPPL'>"
    )


FAILING = f"""
import contextlib, io, json
from semppl_keras import runs
from semppl_keras.cli import main

told = {{}}
for command, words in {COMMANDS!r}.items():
    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        assert main([command, *words]) == 2, command
    told[command] = stderr.getvalue()
try:
    runs.train()
except runs.RunError as error:
    told["runs"] = f"semppl runs: error: {{error}}\\n"
print(json.dumps(told))
"""


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("missing", "chosen", "expected"),
    [
        (
            BACKENDS,
            None,
            "No backend is installed, which runs the networks: tensorflow, jax or "
            "torch. Install one: pip install 'semppl_keras[tensorflow]', or with [jax] "
            "or [torch].",
        ),
        (
            ("tensorflow", "torch"),
            "torch",
            "KERAS_BACKEND names torch, which is not installed. Installed: jax. "
            "Install it: pip install 'semppl_keras[torch]'; or set KERAS_BACKEND=jax.",
        ),
        (
            ("jax",),
            "numpy",
            "KERAS_BACKEND must name a backend that trains here: tensorflow, jax or "
            "torch. Received: 'numpy'. Installed: tensorflow and torch.",
        ),
    ],
)
def test_a_missing_backend_is_a_line(missing, chosen, expected, tmp_path):
    told = json.loads(
        printed(FAILING, missing=missing, KERAS_BACKEND=chosen, KERAS_HOME=tmp_path)
    )
    assert told.keys() == {*COMMANDS, "runs"}
    for command, line in told.items():
        assert line == f"semppl {command}: error: {expected}\n"


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("settings", "missing", "expected"),
    [
        # Keras writes its usual backend there by itself: nobody has chosen it.
        (None, ["tensorflow"], "jax"),
        ("tensorflow", ["tensorflow", "jax"], "torch"),
        ("tensorflow", ["jax"], None),
        ("torch", ["tensorflow"], None),
        ("jax", ["jax"], "names jax, which is not installed"),
    ],
)
def test_another_backend_is_taken_where_nobody_chose(
    settings, missing, expected, tmp_path
):
    if settings is not None:
        (tmp_path / "keras.json").write_text(json.dumps({"backend": settings}))
    code = """
    import os
    from semppl_keras.runs.backend import check_backend, choose_backend
    chosen = choose_backend()
    assert os.environ.get("KERAS_BACKEND") == chosen
    try:
        check_backend()
        print(chosen)
    except ValueError as error:
        print(error)
    """
    told = printed(code, missing=missing, KERAS_BACKEND=None, KERAS_HOME=str(tmp_path))
    if expected is None or expected in BACKENDS:
        assert told == f"{expected}\n"
    else:
        assert expected in told
        assert str(tmp_path / "keras.json") in told


@pytest.mark.any_backend
def test_python_says_which_backend_to_set(tmp_path):
    code = "from semppl_keras.runs.backend import check_backend; check_backend()"
    done = run(
        code, missing=["tensorflow"], KERAS_BACKEND=None, KERAS_HOME=str(tmp_path)
    )
    assert "which is not installed. Installed: jax and torch." in done.stderr
    assert "Set KERAS_BACKEND=jax before Keras is imported" in done.stderr


NOISE = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to "
    b"STDERR\n"
    b"I0000 00:00:1795650544.902241   24893 port.cc:153] oneDNN custom operations are "
    b"on. You may see slightly different numerical results\n"
    b"2026-01-02 10:11:12.123456: I tensorflow/core/util/port.cc:153] oneDNN\n"
    b"E0000 00:00:1795650551.038059   24893 cuda_platform.cc:52] failed call to "
    b"cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)\n"
)
HEARD = (
    b"E0000 00:00:1795650551.038059   24893 cuda_dnn.cc:52] Loaded runtime CuDNN "
    b"library: 9.1 but source was compiled with: 9.3\n"
    b"a line without an end"
)


@pytest.mark.any_backend
def test_noise_is_kept_from_the_file_of_stderr():
    code = f"""
    import os, sys
    from semppl_keras.cli.quiet import without_noise
    print("before", file=sys.stderr)
    with without_noise():
        os.write(2, {NOISE + HEARD!r})
        print(" of C", file=sys.stderr)
    print("behind", file=sys.stderr)
    with without_noise():
        os.write(2, {NOISE!r})
        raise ImportError("all of one that fails")
    """
    heard, _, failed = run(code).stderr.partition(NOISE.decode())
    assert heard == f"before\n{HEARD.decode()} of C\nbehind\n"
    assert failed.endswith("ImportError: all of one that fails\n")


@pytest.mark.any_backend
def test_where_a_process_dies_is_heard():
    code = """
    import os
    from semppl_keras.cli.quiet import without_noise
    with without_noise():
        os.abort()
    """
    done = run(code)
    assert done.returncode < 0
    assert done.stderr.startswith("Fatal Python error: Aborted")


@pytest.mark.any_backend
def test_a_backend_is_quiet_whoever_imports_it(tmp_path):
    """Keras imports TensorFlow where it finds it, in the midst of other work."""
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(
        f"import os\nos.write(2, {NOISE + HEARD!r})\n"
    )
    code = """
    import sys
    sys.path.insert(0, sys.argv[1])
    from semppl_keras.cli.quiet import quiet_backends
    with quiet_backends():
        import tensorflow
    assert type(tensorflow.__spec__.loader).__name__ == "SourceFileLoader"
    """
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == HEARD.decode()


def test_a_command_writes_what_it_has_to_say(tmp_path):
    write_own_images(tmp_path)
    command = ["views", tmp_path / "many", "--image-size", "8", "--images", "1"]
    # Images of bytes are turned as well, of which TensorFlow says once that it is slow.
    code = """
    import sys
    from semppl_keras.cli import main
    status = main(sys.argv[1:])
    import keras
    images = keras.ops.zeros((2, 4, 5, 3), "uint8")
    print(keras.ops.transpose(images, (0, 2, 1, 3)).shape)
    sys.exit(status)
    """
    # As if at a terminal, where nobody has set it.
    done = run(code, *command, "--out", tmp_path / "v.png", TF_CPP_MIN_LOG_LEVEL=None)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "v.png" in done.stdout
    assert "5, 4, 3" in done.stdout


@pytest.mark.any_backend
@pytest.mark.parametrize("before", [True, False])
def test_quiet_and_verbose(before, tmp_path, capsys):
    write_own_images(tmp_path)

    def said(flag, *words):
        both = [[flag], ["views", *map(str, words)]][:: 1 if before else -1]
        status = main([word for words in both for word in words])
        return (status, *capsys.readouterr())

    source, out = tmp_path / "many", ("--out", tmp_path / "v.png")
    small = ("--image-size", "8", "--images", "1", "--overwrite", *out)
    assert said("-q", source, *small) == (0, "", "")
    status, told, _ = said("-v", source, *small)
    assert status == 0
    assert "v.png" in told

    missing = tmp_path / "missing"
    status, told, error = said("--quiet", missing, *out)
    assert (status, told) == (2, "")
    assert re.fullmatch(r"semppl views: error: [^\n]*\n", error)
    status, _, errors = said("--verbose", missing, *out)
    assert status == 2
    assert errors.startswith("Traceback (most recent call last):")
    assert errors.endswith(error)


@pytest.mark.any_backend
def test_the_later_of_quiet_and_verbose_counts():
    parse = parser().parse_args
    assert parse(["views", "DIR"]).verbose == 1
    assert parse(["-q", "views", "DIR"]).verbose == 0
    assert parse(["-q", "views", "DIR", "-v"]).verbose == 2


@pytest.mark.any_backend
@pytest.mark.parametrize("command", COMMANDS)
def test_options_stand_in_groups(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    paragraphs = capsys.readouterr().out.split("\n\n")
    (common,) = (part for part in paragraphs if part.startswith("options:\n"))
    assert re.findall(r"^  (-\S+)", common, re.M) == ["-h,", "-q,", "-v,"]
    groups = [part for part in paragraphs if re.search(r":\n  --", part)]
    assert groups


@pytest.mark.any_backend
@pytest.mark.parametrize("command", ["train", "evaluate", "label", "report"])
def test_whom_to_trust_is_said_of_a_folder_that_the_command_takes(
    command, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    usage, told = capsys.readouterr().out.split("\n\n", 1)
    (folder,) = re.findall(r"--trust +.*?(\w+) is from someone", told)
    assert re.search(rf"\b{folder}\b", usage)
