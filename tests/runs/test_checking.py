"""`semppl check`: which labels of a run are suspect, and a classifier that doubts."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image
from toys import toy_backbone, toy_images

from semppl_keras import runs
from semppl_keras.cli import main
from semppl_keras.data.images.sources import open_images
from semppl_keras.evaluation import balanced_accuracy, label_weights
from semppl_keras.runs import RunError
from semppl_keras.runs.finished import FinishedRun

pytestmark = pytest.mark.any_backend

WRONG = (4, 13)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 18 labelled images of three classes, two labels of which are wrong, and
    of a fourth class with a single one."""
    folder = tmp_path_factory.mktemp("job")
    images, labels = toy_images(54, channels=3)
    names = [f"{'abc'[label]}" for label in labels]
    for row in WRONG:
        names[row] = "abc"["cab".index(names[row])]
    names[18] = "=alone"
    for part, rows in (("pictures", range(36)), ("test", range(36, 54))):
        (folder / part).mkdir()
        for row in rows:
            picture = Image.fromarray(images[row].astype("uint8"))
            picture.save(folder / part / f"{row}.png")
        lines = [f"{part}/{row}.png,{names[row]}" for row in rows]
        lines = lines[:19] if part == "pictures" else lines
        (folder / f"{part}.csv").write_text("path,label\n" + "\n".join(lines))
    keras.utils.set_random_seed(0)
    toy_backbone(channels=3).save(folder / "network.keras")
    return runs.train(
        unlabelled=folder / "pictures",
        labelled=folder / "pictures.csv",
        test=folder / "test.csv",
        backbone=str(folder / "network.keras"),
        image_size=8,
        epochs=0,
        out=folder / "run",
        verbose=0,
    )


def test_a_packed_run_is_checked_but_not_written_to(run, tmp_path):
    packed = runs.pack(run.folder, tmp_path / "run.zip", verbose=0)
    with pytest.raises(RunError, match="Nothing is written to a packed run"):
        runs.check(packed, verbose=0)
    out = tmp_path / "suspects.csv"
    with pytest.raises(RunError, match="--doubt keeps a classifier in the run"):
        runs.check(packed, out=out, doubt=0.1, verbose=0)
    assert runs.check(packed, out=out, verbose=0).table == out
    assert out.is_file()


def _copy(run, tmp_path):
    return shutil.copytree(run.folder, tmp_path / "run")


def test_suspects_are_listed_printed_and_pictured(run, tmp_path, capsys):
    checked = runs.check(run.folder, classifier="pixels", show=3, verbose=1)
    first = [checked.names[index] for index in checked.found.order[:2]]
    assert {name.rsplit("/", 1)[1] for name in first} == {"4.png", "13.png"}
    with checked.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 19
    for row, index in zip(rows, checked.found.order, strict=False):
        # Relative to the table, which is in the run folder.
        assert (run.folder / row["path"]).resolve().samefile(checked.names[index])
        found = checked.found
        assert row["label"] == checked.class_names[found.labels[index]]
        assert row["suggested"] == checked.class_names[found.suggested[index]]
        shares = found.probabilities[index]
        sure = shares[found.suggested[index]]
        assert float(row["confidence"]) == pytest.approx(sure, abs=1e-4)
        sure = shares[found.labels[index]]
        assert float(row["label_confidence"]) == pytest.approx(sure, abs=1e-4)
        assert float(row["score"]) == pytest.approx(found.scores[index], abs=1e-4)
    # Of the only one of its class nothing is known; no spreadsheet evaluates it.
    assert (rows[-1]["label"], rows[-1]["score"]) == ("'=alone", "")
    told = capsys.readouterr().out
    assert f"{checked.summary()}. The most suspect first:" in told
    assert "1 label not checked" in told
    assert told.count("suggested ") + told.count("agreed ") >= 3
    page = checked.page.read_text()
    assert page.count("<figure") == 3
    assert "another class is suggested" in page
    assert 'src="data:image/' in page
    # What is to be done, and with which of the files.
    command = f"--labelled {checked.table} --epochs 0 --out {run.folder}_2"
    assert command in page
    assert command in told
    assert '<div class="name">4.png</div>' in page
    assert "LabelCheck of" in repr(checked)
    np.testing.assert_allclose(checked.weights, label_weights(checked.found))


def test_labels_that_were_mended_are_not_replaced(run, tmp_path):
    folder = _copy(run, tmp_path)
    table = runs.check(folder, classifier="pixels", verbose=0).table
    written = table.read_text()
    # As it was, it may be replaced, and by a spreadsheet saved as it is, too.
    table.write_text(written.replace(",", ";"))
    runs.check(folder, classifier="pixels", verbose=0)
    assert table.read_text() == written
    first, rest = written.split("\n", 1)
    path, label, others = rest.split(",", 2)
    for changed in (
        "\n".join([first, f"{path},{'ab'[label == 'a']},{others}"]),
        "path,species\nx.png,cat\n",
        "",
    ):
        table.write_text(changed)
        with pytest.raises(RunError, match="to be replaced.*Choose another|choose ano"):
            runs.check(folder, classifier="pixels", verbose=0)
        assert table.read_text() == changed
        out = tmp_path / f"{len(changed)}.csv"
        runs.check(folder, classifier="pixels", out=out, verbose=0)


def test_labels_of_images_that_are_gone_go_on(run, tmp_path, capsys):
    """The table names them as the run has noted them."""
    folder = tmp_path / "job"
    shutil.copytree(run.folder.parent, folder)
    settings = (folder / "run" / "run.json").read_text()
    for path in (folder / "run").glob("*.csv"):
        path.write_text(path.read_text().replace(str(run.folder.parent), str(folder)))
    settings = settings.replace(str(run.folder.parent), str(folder))
    (folder / "run" / "run.json").write_text(settings)
    shutil.rmtree(folder / "pictures")
    shutil.rmtree(folder / "test")
    table = runs.check(folder / "run", classifier="pixels", verbose=0).table
    lines = table.read_text().split("\n")
    place = next(n for n, line in enumerate(lines) if "pictures/4.png" in line)
    path, label, others = lines[place].split(",", 2)
    assert path == str(folder / "pictures" / "4.png")
    lines[place] = ",".join([path, "ab"[label == "a"], others])
    mended = tmp_path / "mended.csv"
    mended.write_text("\n".join(lines))
    capsys.readouterr()
    runs.train(from_run=folder / "run", labelled=mended, epochs=0, out=tmp_path / "on")
    assert "19 now: 0 added, 1 changed, 0 removed" in capsys.readouterr().out


def test_labels_that_no_table_can_mend_are_told(tmp_path, capsys):
    images, labels = toy_images(36, channels=3)
    np.savez(tmp_path / "all.npz", images=images.astype("uint8"), labels=labels)
    source = f"npz:{tmp_path / 'all.npz'}"
    own = runs.train(
        unlabelled=source,
        labelled=source,
        labels_per_class=4,
        epochs=0,
        out=tmp_path / "run",
        verbose=0,
    )
    page = runs.check(own.folder, verbose=1).page.read_text()
    told = capsys.readouterr().out
    for text in (told, page):
        assert f"come from {source}, and not from a table" in text
        assert "--from" not in text


@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv"])
def test_the_table_is_one_of_labels(run, tmp_path, name):
    out = tmp_path / name
    checked = runs.check(run.folder, classifier="pixels", out=out, verbose=0)
    listed = open_images(checked.table, "labelled")
    assert len(listed) == 19
    assert set(listed.labels_of(range(19))) == {"a", "b", "c", "=alone"}


def test_doubted_labels_count_less_in_a_classifier_of_the_run(run, tmp_path, capsys):
    folder = _copy(run, tmp_path)
    checked = runs.check(folder, classifier="pixels", doubt=0.1, verbose=1)
    kept = checked.classifier
    assert (kept["how"], kept["settings"]["labels_counted"]) == (
        "doubting",
        pytest.approx(checked.weights.sum(), abs=0.01),
    )
    assert "the labels count as" in capsys.readouterr().out
    finished = FinishedRun(folder)
    classifier, how = finished.classifier()
    assert how == "doubting"
    tested = finished.test
    predicted = classifier.predict(tested.images, verbose=0).argmax(axis=1)
    measured = json.loads((folder / "classifier.json").read_text())["test"]
    assert measured["top1"] == pytest.approx(np.mean(predicted == tested.labels))
    assert measured["balanced_accuracy"] == pytest.approx(
        balanced_accuracy(predicted, tested.labels, 4)
    )
    # What it says of a wrongly labelled image is not what was said of it.
    labelled = finished.labelled
    rows = [
        index
        for index, name in enumerate(labelled.names)
        if name.endswith(("/4.png", "/13.png"))
    ]
    said = classifier.predict(labelled.images[rows], verbose=0).argmax(axis=1)
    assert (said != labelled.labels[rows]).all()
    # Its features are those of before: pixels have seen no labels, however often.
    again = runs.check(folder, doubt=0.1, verbose=1)
    assert "were trained with the labels" not in capsys.readouterr().out
    assert again.classifier["settings"]["features"] == kept["settings"]["features"]


def test_balanced_accuracy_stands_beside_accuracy(run):
    finished = FinishedRun(run.folder)
    for name, value in run["balanced_accuracies"].items():
        classifier, _ = finished.classifier(name)
        predicted = classifier.predict(finished.test.images, verbose=0).argmax(axis=1)
        expected = balanced_accuracy(predicted, finished.test.labels, 4)
        assert value == pytest.approx(expected)
    chosen = run["balanced_accuracies"][run["classifier"]]
    assert run["classifier_balanced_accuracy"] == chosen
    assert "balanced" in run.table()


def test_the_report_has_suspects(run, tmp_path):
    page = runs.report(run.folder, classifier="pixels", verbose=0).read_text()
    assert "<h2>Suspect labels</h2>" in page
    assert "with every class counting alike" in page


def test_what_cannot_be_checked_is_told(run, tmp_path, capsys):
    out = tmp_path / "suspects.csv"
    out.write_text("mine")
    with pytest.raises(RunError, match="exists already. Choose another --out"):
        runs.check(run.folder, out=out)
    with pytest.raises(RunError, match="Let it end in .csv"):
        runs.check(run.folder, out=tmp_path / "suspects.html")
    assert out.read_text() == "mine"
    assert main(["check", str(run.folder), "--show", "0"]) == 2
    assert "--show must be an integer of at least 1" in capsys.readouterr().err
