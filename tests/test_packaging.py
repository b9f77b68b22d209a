"""What pyproject.toml says, what stands beside it, and what is built of it."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest

from semppl_keras import tested_keras
from semppl_keras.runs.features import FEATURES
from semppl_keras.version import __version__

pytestmark = pytest.mark.any_backend

ROOT = pathlib.Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
REPOSITORY = PROJECT["urls"]["Repository"]
EXTRAS = PROJECT["optional-dependencies"]


def _text(*parts):
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def _lowest(requirements):
    """Of requirements with a lower bound, name to that version."""
    found = (re.match(r"([\w-]+)>=([\d.]+)", line) for line in requirements)
    return {match[1]: match[2] for match in found if match}


def test_the_oldest_set_is_the_lowest_that_is_allowed():
    lines = _text(".ci", "oldest.txt").splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    lowest = _lowest(PROJECT["dependencies"])
    assert len(lowest) == len(PROJECT["dependencies"])
    lowest |= _lowest([*EXTRAS["tensorflow"], *EXTRAS["jax"]])
    # TensorFlow takes the tensorboard of its own number.
    lowest["tensorboard"] = lowest["tensorflow"]
    assert pinned.keys() == lowest.keys()
    for name, version in lowest.items():
        assert f"{pinned[name]}.".startswith(f"{version}."), name


def test_the_warning_is_of_what_was_tested():
    (keras,) = (one for one in PROJECT["dependencies"] if one.startswith("keras"))
    oldest = tested_keras.version_text(tested_keras.OLDEST)
    assert keras == f"keras>={oldest},<{tested_keras.NEWEST[0] + 1}"


def test_the_version_is_one():
    (cited,) = re.findall(r"^version: (\S+)$", _text("CITATION.cff"), re.MULTILINE)
    released = re.findall(r"^## \[(\d\S+)\] - (\S+)$", _text("CHANGELOG.md"), re.M)
    assert cited == __version__ == released[0][0]
    assert f'date-released: "{released[0][1]}"' in _text("CITATION.cff")


def test_the_address_is_one():
    name = REPOSITORY.rpartition("/")[2]
    places = [
        ROOT / "CITATION.cff",
        *ROOT.glob(".github/**/*.yml"),
        *ROOT.glob("examples/*.py"),
        *ROOT.glob("examples/*.ipynb"),
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
    ]
    named = 0
    for place in places:
        text = place.read_text(encoding="utf-8")
        for address in re.findall(rf"github\.com/[\w-]+/{name}\b", text):
            assert f"https://{address}" == REPOSITORY, place
            named += 1
    assert named > 2


def test_extras_that_are_named_exist():
    lost = [
        feature.install
        for feature in FEATURES
        for extra in re.findall(r"\[(.*)\]", feature.install)
        if not set(extra.split(",")) <= set(EXTRAS)
    ]
    for folder in ("semppl_keras", "docs", "examples", "benchmarks"):
        for path in (ROOT / folder).rglob("*.*"):
            if path.suffix in (".py", ".md"):
                text = path.read_text(encoding="utf-8")
                for names in re.findall(r"semppl_keras\[([a-z0-9,-]+)\]", text):
                    if not set(names.split(",")) <= set(EXTRAS):
                        lost.append(f"{path.name}: {names}")
    assert not lost


def test_what_users_can_install_is_told_by_doctor():
    told = {
        extra
        for feature in FEATURES
        for extras in re.findall(r"\[(.*)\]", feature.install)
        for extra in extras.split(",")
    }
    # Doctor tells of the backends by themselves; the others are for those who work on
    # the package, and for an example.
    assert set(EXTRAS) - told == {"jax", "torch", "docs", "test", "lite0", "peers"}


# -- what is built ------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with the sdist and the wheel that is built of it."""
    given = os.environ.get("SEMPPL_DIST")
    if given:
        return pathlib.Path(given)
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def _of_the_package():
    """Paths of what belongs to the package in the checkout."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "semppl_keras").rglob("*.*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.slow
def test_the_wheel_and_the_sdist_hold_the_package_and_no_more(built):
    package = _of_the_package()
    assert {"semppl_keras/py.typed", "semppl_keras/__init__.pyi"} <= package
    assert any(path.startswith("semppl_keras/reports/assets/") for path in package)

    (wheel,) = built.glob(f"semppl_keras-{__version__}-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith("/METADATA"))
        told = archive.read(metadata).decode()
    about = {name for name in names if f"-{__version__}.dist-info/" in name}
    assert names - about == package
    assert any(name.endswith("licenses/LICENSE") for name in about)
    assert f"Project-URL: Repository, {REPOSITORY}" in told

    (sdist,) = built.glob(f"semppl_keras-{__version__}.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    beside = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"}
    assert names == package | beside | {"PKG-INFO", ".gitignore"}


AWAY = """
import json, pathlib, sys
import keras, numpy as np, semppl_keras
assert semppl_keras.__file__.startswith(sys.argv[1])
images = np.random.default_rng(0).uniform(0, 255, (24, 8, 8, 1))
model = semppl_keras.SemPPL(
    semppl_keras.backbones.SmallResNet((4,), input_shape=(None, None, 1)),
    2,
    views=semppl_keras.views.MultiCrop(1, 0, 8, 6),
    hidden_dim=8,
    seed=0,
)
model.compile("sgd", jit_compile=False)
model.fit(images, (images[:6], np.arange(6) % 2), batch_size=12, verbose=0)
model.save("toy.keras")
loaded = keras.saving.load_model("toy.keras")
np.testing.assert_allclose(loaded.embed(images), model.embed(images), atol=1e-6)
print(json.dumps({"trained": int(loaded.step)}))
"""


@pytest.mark.slow
def test_the_wheel_works_away_from_the_checkout(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    library = tmp_path / "library"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", library, wheel], check=True)
    environment = {**os.environ, "PYTHONPATH": str(library)}

    def output(*words):
        done = subprocess.run(
            [sys.executable, "-P", *map(str, words)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    command = ("-m", "semppl_keras.cli")
    assert output(*command, "--version") == f"semppl_keras {__version__}\n"
    told = json.loads(output(*command, "doctor", "--json"))
    assert told["semppl_keras"]["version"] == __version__
    assert all(told["packages"].values())
    trained = output("-c", AWAY, library).splitlines()[-1]
    assert json.loads(trained) == {"trained": 2}
