"""The layers of the package: who may import whom, and who may import a backend."""

import ast
import functools
import pathlib

import pytest

pytestmark = pytest.mark.any_backend

PACKAGE = pathlib.Path(__file__).parent.parent / "semppl_keras"

# Each folder may import from those that its row names, and from itself.
LAYERS = {
    "version": [],
    "around_imports": [],
    "tested_keras": [],
    # It imports all that has registered classes, by their names.
    "registration": ["around_imports", "tested_keras"],
    "checks": [],
    "kernels": [],
    # What the package writes, known again among a person's images.
    "own_output": [],
    "data": ["checks", "own_output"],
    "views": ["checks"],
    "backbones": ["checks"],
    "networks": ["checks", "data", "kernels"],
    "memory": ["checks"],
    "losses": ["checks"],
    "optimizers": ["checks"],
    "training": ["checks", "kernels", "data", "networks", "optimizers"],
    "consistency": ["checks", "losses", "memory", "networks", "training"],
    "evaluation": ["checks", "kernels", "backbones"],
    "pretraining": [
        "checks",
        "kernels",
        "data",
        "views",
        "networks",
        "memory",
        "losses",
        "training",
        "evaluation",
    ],
    "classifiers": [
        "checks",
        "data",
        "views",
        "networks",
        "memory",
        "losses",
        "training",
        "consistency",
    ],
    # Namespaces alone.
    "models": ["networks", "training", "pretraining"],
    "distillation": ["networks", "losses", "classifiers"],
    "callbacks": ["checks", "evaluation", "training"],
    "checkpoints": ["views", "backbones", "networks"],
    "export": ["checks", "data", "networks", "pretraining"],
    "recipes": [
        "checks",
        "data",
        "views",
        "backbones",
        "networks",
        "optimizers",
        "consistency",
        "pretraining",
        "classifiers",
    ],
    "reports": ["own_output", "data", "evaluation"],
    "runs": [
        "version",
        "tested_keras",
        "checks",
        "own_output",
        "data",
        "views",
        "backbones",
        "networks",
        "training",
        "evaluation",
        "pretraining",
        "classifiers",
        "callbacks",
        "checkpoints",
        "export",
        "recipes",
        "reports",
    ],
    # Words and defaults alone of what is below the runs.
    "cli": [
        "version",
        "around_imports",
        "data",
        "backbones",
        "training",
        "evaluation",
        "callbacks",
        "recipes",
        "runs",
    ],
}

# Beside the step on each backend: adapters to something that belongs to one backend.
BACKEND_IMPORTS = {
    "kernels/torch_calls.py": {"torch"},
    "kernels/torch_inference.py": {"torch"},
    "kernels/torch_layers.py": {"torch"},
    "kernels/torch_release.py": {"torch"},
    "training/backends/jax.py": {"jax"},
    "training/backends/tensorflow.py": {"tensorflow"},
    "training/backends/tf_adam.py": {"tensorflow"},
    "training/backends/tf_normalisation.py": {"tensorflow"},
    "training/backends/jax_normalisation.py": {"jax"},
    "training/backends/jax_processes.py": {"jax"},
    "training/backends/tf_processes.py": {"tensorflow"},
    "training/backends/tf_optimizer.py": {"tensorflow"},
    "training/backends/tf_replicas.py": {"tensorflow"},
    "training/backends/torch.py": {"torch"},
    "training/backends/torch_lars.py": {"torch"},
    "training/backends/torch_moving.py": {"torch"},
    "training/backends/torch_normalisation.py": {"torch"},
    "training/backends/torch_processes.py": {"torch"},
    "training/backends/torch_replicas.py": {"torch"},
    "training/backends/torch_sgd.py": {"torch"},
    "training/backends/torch_sums.py": {"torch"},
    "views/at_hand.py": {"torch"},
    "data/feed/tf_checked.py": {"tensorflow"},
    "data/feed/tf_feed.py": {"tensorflow"},
    "data/feed/tf_remote_host.py": {"tensorflow"},
    "data/images/tf_records.py": {"tensorflow"},
    "checkpoints/tf_variables.py": {"tensorflow"},
    "export/tensorflow_formats.py": {"tensorflow"},
}
OPTIONAL = {
    "tensorflow",
    "jax",
    "torch",
    "keras_cv",
    "keras_hub",
    "tensorflow_datasets",
}
LAZY = {"keras_cv", "keras_hub", "tensorflow_datasets"}


@functools.cache
def modules():
    return [
        (path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text()))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


def imports(tree):
    """(imported name, whether at the top of the module)."""
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", id(node) in top


def test_each_layer_knows_only_those_before_it():
    folders = {p.stem for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob("*.py"))}
    files = {p.stem for p in PACKAGE.glob("*.py")} - {"__init__"}
    assert folders | files == set(LAYERS)
    wrong = []
    for path, tree in modules():
        if path == "__init__.py":
            continue
        layer = path.split("/")[0].removesuffix(".py")
        for name, _ in imports(tree):
            parts = name.split(".")
            if parts[0] != "semppl_keras" or len(parts) < 2:
                continue
            if parts[1] != layer and parts[1] not in LAYERS[layer]:
                wrong.append(f"{path} imports {name}")
    assert not wrong


def test_the_table_has_no_circle():
    done = set()
    for layer, needed in LAYERS.items():
        assert set(needed) <= done, f"{layer} comes before what it imports"
        done.add(layer)


def test_backends_are_imported_by_trainers_and_adapters_alone():
    found = {}
    for path, tree in modules():
        for name, top in imports(tree):
            package = name.split(".")[0]
            if package in OPTIONAL - LAZY:
                found.setdefault(path, set()).add(package)
            if package in LAZY:
                assert not top, f"{path} imports {package} whether it is used or not"
    assert found == BACKEND_IMPORTS


def test_only_public_names_of_keras_are_used():
    for path, tree in modules():
        for name, _ in imports(tree):
            assert not name.startswith("keras.src"), f"{path} imports {name}"


def spoken(tree):
    """What a module holds as text, without its docstrings."""
    told = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and ast.get_docstring(node)
    }
    for node in ast.walk(tree):
        text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if text and id(node) not in told:
            yield node.value


def test_run_folders_are_known_to_the_runs_alone():
    files = ("run.json", "metrics.json", "classifier.json", "evaluation.json")
    found = {
        path
        for path, tree in modules()
        for text in spoken(tree)
        if any(file in text for file in files)
    }
    above = {path for path in found if path.startswith(("runs/", "cli/"))}
    assert "runs/folder.py" in above
    # By it a run among somebody's images is passed over.
    assert found - above == {"own_output.py"}
