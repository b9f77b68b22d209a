"""The commands of README.md and docs/, on small pictures and with short recipes."""

import contextlib
import glob
import json
import pathlib
import shlex
import shutil
import subprocess
import sys

import pytest
from PIL import Image
from short_run import make_training_quick, short_run
from tiny_runs import write_archive
from toys import toy_backbone, toy_images

from semppl_keras.cli import main
from semppl_keras.data import load_digits

CLASSES = "abc"
# What is taken in the place of what a page names.
_NETWORK = "lite0.keras"
_PICTURE = "photos/0.png"


def write_stand_ins(folder):
    """Writes what the pages name: pictures, tables, archives, a network, finished runs.

    Args:
        folder: that is the working directory of the commands.
    """
    images, labels = toy_images(60, channels=3)
    names = [CLASSES[label] for label in labels]

    def picture(place, row):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[row].astype("uint8")).save(folder / place)

    def table(place, rows):
        lines = [f"photos/{row}.png,{names[row]}" for row in rows]
        (folder / place).write_text("path,label\n" + "\n".join(lines) + "\n")

    for row in range(60):
        picture(f"photos/{row}.png", row)
    for row in range(12):
        picture(f"sorted/{names[row]}/{row}.png", row)
        picture(f"held_out/{names[40 + row]}/{row}.png", 40 + row)
        picture(f"new_photos/{row}.png", 40 + row)
    table("labels.csv", range(12))
    table("more.csv", range(12, 24))
    table("held_out.csv", range(40, 60))
    # What the page of `--review` would have saved.
    table("guessed.review_labels.csv", range(24))
    write_archive(folder / "fashion_mnist.npz")
    (folder / "annotations.json").write_text(json.dumps(_coco(names[:12])))
    digits = load_digits(None, 0)
    for row in range(40):
        place = folder / "scanned" / str(digits.y_train[row]) / f"{row}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits.x_train[row, ..., 0].astype("uint8")).save(place)
    toy_backbone(channels=3).save(folder / _NETWORK)


def _coco(names):
    """COCO's annotations of the first pictures."""
    rows = range(len(names))
    return {
        "images": [{"id": row, "file_name": f"photos/{row}.png"} for row in rows],
        "categories": [{"id": n, "name": name} for n, name in enumerate(CLASSES)],
        "annotations": [
            {"id": row, "image_id": row, "category_id": CLASSES.index(names[row])}
            for row in rows
        ],
    }


@contextlib.contextmanager
def short_commands(folder):
    """A context in which `run` takes moments; makes runs/fashion and runs/photos.

    Args:
        folder: with the stand-ins.
    """
    archive = f"npz:{folder / 'fashion_mnist.npz'}"
    options = ("--dataset", archive, "--labels-per-class", "2")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_training_quick(patch)
        with short_run(folder / "runs" / "fashion", *options):
            # Frozen features alone, which take the least.
            photos = "--unlabelled photos --labelled labels.csv --epochs 0"
            command = f"semppl train {photos} --backbone {_NETWORK} --out runs/photos"
            run(command.split())
            shutil.copytree("runs/photos", "runs/flowers")
            yield


def make_digits_runs():
    """Makes runs on digits, of two seeds, in the working directory."""
    for name in ("digits_10_per_class_seed_0", "digits_10_per_class_seed_1", "digits"):
        seed = "1" if name.endswith("1") else "0"
        run(["semppl", "train", "--seed", seed, "--out", f"runs/{name}"])


def commands(code):
    """The words of each command of a block, without remarks."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield words


def check(code, where):
    """Fails for commands that `run` does not know, without running any.

    Args:
        code: of a block.
        where: it stands.
    """
    for words in commands(code):
        assert words[0] in ("semppl", "python"), (where, words)
        # No shell runs them.
        assert not {">", ">>", "<", "|", "&&", "||", ";", "&"} & set(words), where


def run(words):
    """Runs a command in the working directory, and fails if it does.

    Args:
        words: of `semppl ...`, or of `python FILE.py ...`.
    """
    assert words[0] in ("semppl", "python"), words
    words = [place for word in words for place in sorted(glob.glob(word)) or [word]]
    if words[0] == "semppl":
        words = _shortened(words[1:])
        _make_room(words)
        assert main(words) == 0, words
    else:
        taken = [_PICTURE if word == "PICTURE" else word for word in words[1:]]
        subprocess.run(
            [sys.executable, *(word for word in taken if word != "...")], check=True
        )


def _shortened(words):
    """The words of a `semppl` command, on stand-ins and for a moment."""
    options = dict(zip(words, [*words[1:], ""], strict=True))
    words = list(words)
    for option, other in (("--backbone", _NETWORK), ("--image-size", "8")):
        if option in options:
            words[words.index(option) + 1] = other
    if words[0] == "label":
        words.append("--overwrite")
    if words[0] == "train" and "--resume" not in options:
        for option in ("--minutes", "--epochs"):
            if options.get(option, "0") != "0":
                place = words.index(option)
                del words[place : place + 2]
        if options.get("--epochs") != "0":
            words += ["--epochs", "1"]
        if "--out" not in options:
            words += ["--out", "runs/unnamed"]
    return words


def _make_room(words):
    """Removes what the command would not overwrite: each block is run by itself."""
    places = [words[words.index("--out") + 1]] if "--out" in words else []
    if words[0] == "export":
        places.append(f"{words[1]}/exported")
    for place in map(pathlib.Path, places):
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
