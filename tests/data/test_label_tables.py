"""Tables of labels, as spreadsheets, editors and scripts write them."""

import itertools
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from semppl_keras.data import TableOptions, load_own_images
from semppl_keras.data.images.label_tables import read_label_table
from semppl_keras.data.images.spreadsheets import (
    content_of,
    inert,
    inert_path,
    table_text,
)

pytestmark = pytest.mark.any_backend


@pytest.fixture
def read(tmp_path):
    def read(content, name="labels.csv", labelled=True):
        path = tmp_path / name
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content)
        rows = read_label_table(path, labelled=labelled)
        assert all(row.path.is_relative_to(tmp_path) for row in rows)
        return [
            (row.line, row.path.relative_to(tmp_path).as_posix(), row.label)
            for row in rows
        ]

    return read


PLAIN = [(1, "a.png", "cat"), (2, "sub/b.jpg", "dog")]
UNDER_NAMES = [(line + 1, path, label) for line, path, label in PLAIN]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a.png,cat\nsub/b.jpg,dog\n", PLAIN),
        ("a.png,cat\nsub/b.jpg,dog", PLAIN),
        ("a.png,cat\r\nsub/b.jpg,dog\r\n", PLAIN),
        ("a.png,cat\rsub/b.jpg,dog\r", PLAIN),
        ("\ufeffa.png,cat\nsub/b.jpg,dog\n", PLAIN),
        ("a.png,cat\nsub/b.jpg,dog\n".encode("utf-16"), PLAIN),
        ("  a.png ,  cat \n sub/b.jpg,dog\t\n", PLAIN),
        ('"a.png","cat"\n"sub/b.jpg","dog"\n', PLAIN),
        ("a.png;cat\nsub/b.jpg;dog\n", PLAIN),
        ("a.png\tcat\nsub/b.jpg\tdog\n", PLAIN),
        ("path,label\na.png,cat\nsub/b.jpg,dog\n", UNDER_NAMES),
        ("File Name,Class\na.png,cat\nsub/b.jpg,dog\n", UNDER_NAMES),
        ("bild,tier\na.png,cat\nsub/b.jpg,dog\n", UNDER_NAMES),
        ("tier;bild\ncat;a.png\ndog;sub/b.jpg\n", UNDER_NAMES),
        ("id,label,path\n1,cat,a.png\n2,dog,sub/b.jpg\n", UNDER_NAMES),
        (
            "filename,species,date\na.png,cat,2020\nsub/b.jpg,dog,2021\n",
            UNDER_NAMES,
        ),
        ("a.png,cat\na.png,cat\n", PLAIN[:1]),
        ("a.png,\nsub/b.jpg,dog\na.png,cat\n", [(3, "a.png", "cat"), PLAIN[1]]),
        ("a.png,cat\nsub/b.jpg,\na.png, \n", [PLAIN[0], (2, "sub/b.jpg", None)]),
        ('  "a.png", "cat"\nsub/b.jpg, "dog"\n', PLAIN),
        ("\n\na.png,cat\n,\n", [(3, "a.png", "cat")]),
        ('"a,1.png","big, black ""cat"""\n', [(1, "a,1.png", 'big, black "cat"')]),
        (
            'a.png,"cat\nand dog"\nb.png,x\n',
            [(1, "a.png", "cat\nand dog"), (3, "b.png", "x")],
        ),
        ("1,0\n2,1\n", [(1, "1", "0"), (2, "2", "1")]),
        ("日本/ü.png,Käse\n", [(1, "日本/ü.png", "Käse")]),
    ],
)
def test_tables(read, content, expected):
    assert read(content) == expected


def test_tabs(read):
    content = "path\tlabel\na,1.png\tcat, big\n"
    assert read(content, "labels.TSV") == [(2, "a,1.png", "cat, big")]


def test_labels_that_are_composed_differently_are_one(read):
    rows = read("a.png,Ka\u0308se\nb.png,K\u00e4se\n")
    assert {label for _, _, label in rows} == {"K\u00e4se"}


def test_names_are_found_as_the_disk_spells_them(read, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "ka\u0308se.png").touch()
    assert read("sub\\k\u00e4se.png,x\n") == [(1, "sub/ka\u0308se.png", "x")]


@pytest.mark.parametrize("row", [" a.png,cat\n", '" a.png",cat\n'])
def test_a_space_may_be_of_a_name(read, tmp_path, row):
    assert read(row) == [(1, "a.png", "cat")]
    (tmp_path / " a.png").touch()
    assert read(row) == [(1, " a.png", "cat")]
    (tmp_path / "a.png").touch()
    assert read(row) == [(1, "a.png", "cat")]


def test_without_labels(read):
    assert read("a.png\nb.png\n", labelled=False) == [
        (1, "a.png", None),
        (2, "b.png", None),
    ]
    assert read("label,path\nx,a.png\n,b.png\n", labelled=False)[1] == (
        3,
        "b.png",
        None,
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a row for each image. Received: none"),
        ("\n \n,,\n", "Received: none"),
        ("path,label\n", "the names of the columns alone"),
        ("a.png,cat\nb.png\n", "Line 2 of .* 2 field.*Received: 1, 'b.png'"),
        ("a.png,cat\nb,1.png,dog\n", "Line 2 of .*Received: 3, 'b', '1.png', 'dog'"),
        ("a.png\n", "Line 1 of .*2 field"),
        ("a.png,\n", r"must have labels. Received: 1 row\(s\) from line 1 on"),
        (",cat\n", "Line 1 of .*must have an image path"),
        ("a.png,cat\nb.png,x\na.png,dog\n", "Line 3 of .*line 1, 'cat'.*'dog'"),
        ('a.png,"cat\n', "Line 1 of .*cannot be divided"),
        ("path,size,weight\na.png,1,2\n", "must name one 'path' and one 'label'"),
        (b"a.png,cat\nb.png,K\xe4se\n", "Line 2 of .*UTF-8.*0xe4"),
        (b"a.png,cat\nb\0.png,dog\n", "Line 2 of .*zero byte"),
        (b"\x89PNG\r\n\x1a\n\0\0", "UTF-8"),
        (b"\xff\xfea", "UTF-8"),
        ("x" * 200_000 + "\n", "Line 1 of .*cannot be divided: field larger"),
        ("path,label\n" + "x" * 200_000 + ",a\n", "Line 2 of .*cannot be divided"),
        ("sep=;\npath;label\na.png;cat\na.png;dog\n", "Line 4 of .*line 3, 'cat'"),
    ],
)
def test_tables_that_are_wrong(read, content, message):
    with pytest.raises(ValueError, match=message):
        read(content)


def test_no_table(tmp_path):
    with pytest.raises(FileNotFoundError, match="a folder"):
        read_label_table(tmp_path)
    with pytest.raises(FileNotFoundError, match="nothing is"):
        read_label_table(tmp_path / "none.csv")


# -- what stands for no label -----------------------------------------------------


UNKNOWN = (
    ", ,-1,-1.0,nan,NaN,None,NULL,N/A,NA,n/a,<NA>,#N/A,-nan,?,-,unlabeled,Unlabelled,"
    "not labelled,N.A.,(none),(blank),No label,--,\N{MINUS SIGN}1"
)


@pytest.mark.parametrize("unknown", UNKNOWN.split(","))
def test_spellings_of_an_unknown_label(read, unknown, tmp_path):
    content = f"path,label\na.png,cat\nb.png,{unknown}\nc.png,dog\n"
    assert [label for _, _, label in read(content)] == ["cat", None, "dog"]
    options = TableOptions(keep_labels=(unknown,))
    kept = [
        row.label for row in read_label_table(tmp_path / "labels.csv", options=options)
    ]
    assert kept == ["cat", unknown.strip() or None, "dog"]


def _told(tmp_path, content, **options):
    (tmp_path / "labels.csv").write_text(content, encoding="utf-8")
    remarks = []
    rows = read_label_table(tmp_path / "labels.csv", remarks=remarks, **options)
    return [row.label for row in rows], "\n".join(remarks)


def test_spellings_are_told_by_number(tmp_path):
    assert (
        "Taken for classes: 'Blank' (1 images)"
        in _told(tmp_path, "path,label\na,cat\nb,Blank\n")[1]
    )
    content = "path,label\na,cat\nb,nan\nc,NULL\nd,nan\ne,\nf,-1\ng,unknown\n"
    labels, told = _told(tmp_path, content)
    assert labels == ["cat", None, None, None, None, None, "unknown"]
    assert "stand for none: 2 'nan', 1 'NULL'. Where one is a class" in told
    assert "Taken for classes: 'unknown' (1 images)" in told
    options = TableOptions(keep_labels=("NULL",), unknown_labels=("unknown",))
    labels, told = _told(tmp_path, content, options=options)
    assert labels == ["cat", None, "NULL", None, None, None, None]
    assert "2 'nan', 1 'unknown'" in told


def test_an_error_tells_which_labels_stood_for_none(tmp_path):
    # NA is Namibia, too.
    table = tmp_path / "labels.csv"
    for number in range(3):
        pixels = np.full((8, 8, 3), 40 * number, "uint8")
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    for labels, error in ((("NA", "DE"), "two classes"), (("NA", "NA"), "have labels")):
        rows = [f"{number}.png,{label}\n" for number, label in enumerate(labels)]
        table.write_text("path,label\n" + "".join(rows))
        told = f"{error}.*stand for none: . 'NA'.*--keep-labels"
        with pytest.raises(ValueError, match=told):
            load_own_images(tmp_path, table)


def test_numbers_that_were_written_as_floats(tmp_path):
    labels, told = _told(tmp_path, "path,label\na,1.0\nb,2.0\nc,\nd,10\ne,nan\n")
    assert labels == ["1", "2", None, "10", None]
    assert "2 labels are whole numbers with a point, such as '1.0'" in told
    # Versions, and what a run has for a class already, are no such numbers.
    assert _told(tmp_path, "path,label\na,1.0\nb,1.5\n") == (["1.0", "1.5"], "")
    kept = TableOptions().keeping(["1.0", "2.0"])
    assert _told(tmp_path, "path,label\na,1.0\nb,2.0\n", options=kept)[0] == [
        "1.0",
        "2.0",
    ]
    assert _told(
        tmp_path, "path,label\na,1.0\nb,2\n", options=TableOptions().keeping("12")
    )[0] == ["1", "2"]


# -- columns ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "filename,target,label\na.png,3,cat\nb.png,4,dog\n",
            "one column of labels. Received: 'target' and 'label'.*--label-column",
        ),
        ("path,class,label\na.png,3,cat\n", "'class' and 'label'"),
        ("path,file,label\na,b,cat\nc,d,dog\n", "of paths.*'path' and 'file'"),
        ("path,size,weight\na.png,1,2\n", "Say which it is with --label-column"),
        ("path,label,label\na.png,1,2\n", "'label' and 'label'"),
    ],
)
def test_columns_that_have_to_be_asked_for(read, content, message):
    with pytest.raises(ValueError, match=message):
        read(content)


def test_columns_that_are_asked_for(tmp_path):
    content = "file,path,target,Our Label\na.png,b.png,3,cat\nc.png,d.png,4,dog\n"
    options = TableOptions(label_column="our label", path_column="path")
    (tmp_path / "labels.csv").write_text(content)
    rows = read_label_table(tmp_path / "labels.csv", options=options)
    assert [(row.path.name, row.label) for row in rows] == [
        ("b.png", "cat"),
        ("d.png", "dog"),
    ]
    other = TableOptions(label_column="species", path_column="file")
    with pytest.raises(ValueError, match="column 'species', as --label-column says"):
        read_label_table(tmp_path / "labels.csv", options=other)
    # A table to test on may have other columns than that to train with.
    labels, told = _told(
        tmp_path, "path,label\na.png,x\nb.png,y\n", options=other, role="test"
    )
    assert labels == ["x", "y"]
    assert "has no column 'species': 'label' is taken" in told
    with pytest.raises(ValueError, match="must name the columns, since options do"):
        _told(tmp_path, "a.png,x\nb.png,y\n", options=other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_column": "species"}, "one column that is called 'species'.*: 2"),
        (
            {"split_column": "part=a", "label_column": "label"},
            "must have one column 'part' that --split",
        ),
        ({"label_column": "path"}, "Received: 'path' for both"),
    ],
)
def test_columns_that_are_asked_for_are_one(tmp_path, options, message):
    content = "path,label,species,species,part,part\na.png,x,y,z,a,b\n"
    with pytest.raises(ValueError, match=message):
        _told(tmp_path, content, options=TableOptions(**options))


def test_labels_that_say_train_and_test_are_labels(tmp_path):
    labels, _ = _told(tmp_path, "path,vehicle\na.png,train\nb.png,test\n")
    assert labels == ["train", "test"]


def test_a_run_from_before_there_were_options_takes_the_first(tmp_path):
    options = TableOptions.from_dict(None).keeping(("3", "4"))
    content = "path,target,label,split\na.png,3,cat,train\nb.png,4,dog,test\n"
    assert _told(tmp_path, content, options=options) == (["3", "4"], "")


def test_options_survive_json():
    options = TableOptions("p", "l", "split=a,b", ("none",), ("unknown",))
    written = json.loads(json.dumps(options.to_dict()))
    assert TableOptions.from_dict(written) == options
    for wrong in ({"label_column": 3}, {"keep_labels": "none"}, {"other": 1}, [1]):
        with pytest.raises(ValueError, match="must be|options of tables"):
            TableOptions.from_dict(wrong)
    with pytest.raises(ValueError, match="NAME=VALUE"):
        TableOptions(split_column="split")


# -- rows to test on --------------------------------------------------------------


def _divided(tmp_path, header, cells, **options):
    content = f"path,label,{header}\n" + "".join(
        f"{index}.png,{'ab'[index % 2]},{cell}\n" for index, cell in enumerate(cells)
    )
    (tmp_path / "labels.csv").write_text(content)
    remarks = []
    rows = read_label_table(tmp_path / "labels.csv", remarks=remarks, **options)
    return [int(row.path.stem) for row in rows], "\n".join(remarks)


@pytest.mark.parametrize(
    ("header", "cells", "labelled", "test"),
    [
        ("split", ["train", "test", "Train", "val"], [0, 2], [1]),
        ("Usage", ["Training", "PublicTest", "PrivateTest", ""], [0, 3], [1, 2]),
        ("is_valid", ["False", "True", "False", "True"], [0, 2], [1, 3]),
        ("is_train", ["1", "0", "1.0", "no"], [0, 2], [1, 3]),
        ("set", ["training", "dev", "unlabelled", "dev"], [0], [1, 3]),
        ("fold,is_valid", ["0,0", "1,0", "2,1", "3,1"], [0, 1], [2, 3]),
        ("fold", ["0", "1", "2", "3"], [0, 1, 2, 3], [0, 1, 2, 3]),
        ("fold", ["0", "1", "test", "3"], [0, 1, 3], [2]),
        ("dataset", ["train", "test", "Train", "val"], [0, 2], [1]),
        ("kind", ["train", "train", "train", "train"], [0, 1, 2, 3], [0, 1, 2, 3]),
        ("split", ["test", "test", "test", "test"], [0, 1, 2, 3], [0, 1, 2, 3]),
        ("testimony", ["a", "b", "test", "train"], [0, 1, 2, 3], [0, 1, 2, 3]),
    ],
)
def test_rows_that_a_column_sets_apart(tmp_path, header, cells, labelled, test):
    found, told = _divided(tmp_path, header, cells)
    assert found == labelled
    assert (f"{4 - len(found)} of 4 rows" in told) == (len(found) < 4)
    assert _divided(tmp_path, header, cells, role="test")[0] == test
    every = TableOptions(split_column="none")
    assert _divided(tmp_path, header, cells, options=every) == ([0, 1, 2, 3], "")


def test_rows_of_a_split_that_is_asked_for(tmp_path):
    cells = ["0", "1", "2", "0"]
    with pytest.raises(ValueError, match="--split-column split=VALUE, or take all"):
        _divided(tmp_path, "split", cells)
    assert _divided(tmp_path, "group", cells) == ([0, 1, 2, 3], "")
    assert "leaves nothing out: '0', '1', '2'" in _divided(tmp_path, "fold", cells)[1]
    options = TableOptions(split_column="split=0,1")
    found, told = _divided(tmp_path, "split", cells, options=options)
    assert found == [0, 1, 3]
    assert "1 of 4 rows" in told
    assert _divided(tmp_path, "split", cells, options=options, role="test")[0] == [2]
    with pytest.raises(ValueError, match="must have rows with '7'"):
        _divided(tmp_path, "split", cells, options=TableOptions(split_column="split=7"))
    with pytest.raises(ValueError, match="must have the column 'part'"):
        _divided(tmp_path, "split", cells, options=TableOptions(split_column="part=7"))


def test_tables_to_test_on_alone_are_no_labels(tmp_path):
    with pytest.raises(ValueError, match="labelled images. Received: none .* 2 test"):
        _divided(tmp_path, "split", ["test", "val", "test", "val"])


# -- where the files are ----------------------------------------------------------


def test_paths_relative_to_the_folder_of_the_images(tmp_path):
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png", "c.png", "d.jpg"):
        (tmp_path / "photos" / name).touch()
    (tmp_path / "c.png").touch()
    (tmp_path / "labels.csv").write_text(
        "id,label\na.png,x\nsub\\b.png,y\nc.png,x\nd,y\nnone.png,x\n"
    )
    remarks = []
    rows = read_label_table(
        tmp_path / "labels.csv", images_folder=tmp_path / "photos", remarks=remarks
    )
    assert [row.path.relative_to(tmp_path).as_posix() for row in rows] == [
        "photos/a.png",
        "photos/sub/b.png",
        "c.png",
        "photos/d.jpg",
        # The reader will say that nothing is there.
        "none.png",
    ]
    elsewhere, twice, by_stem = remarks
    assert "2 paths, such as 'a.png', are not relative to it but to" in elsewhere
    assert "1 paths, such as 'c.png', name one file beside the table" in twice
    assert "1 names, such as 'd', have no ending" in by_stem
    (tmp_path / "photos" / "d.png").touch()
    with pytest.raises(ValueError, match=r"Line 5 of .*'d', where .*'d.jpg', 'd.png'"):
        read_label_table(tmp_path / "labels.csv", images_folder=tmp_path / "photos")


def test_names_are_those_of_images_that_are_found(tmp_path):
    photos, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    for name in ("photos/sub/a.png", "photos/.thumbnails/a.png", "elsewhere/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (photos / "link").symlink_to(elsewhere)
    table = tmp_path / "labels.csv"
    table.write_text("path,label\na.png,x\nc,y\n")
    rows = read_label_table(table, images_folder=photos)
    assert [row.path for row in rows] == [photos / "sub/a.png", photos / "link/c.png"]


# -- cells that spreadsheets evaluate ---------------------------------------------


def test_cells_come_back_as_they_were():
    texts = [
        "",
        "a",
        "'",
        "''",
        "'a",
        "=1",
        "'=1",
        "''=1",
        "-1",
        "@x",
        "+",
        "\tx",
        "\r",
    ]
    texts += ["".join(parts) for parts in itertools.product("='-@+ a\t", repeat=3)]
    for text in texts:
        cell = inert(text)
        assert content_of(cell) == text
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        path = inert_path(text)
        assert not path.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        assert pathlib.PurePosixPath(path) == pathlib.PurePosixPath(text)
    # What others have written is not taken for such a cell.
    assert content_of("'tis") == "'tis"


def test_tables_are_read_as_they_were_written(read):
    names = [
        "a\r=1+1",
        "b\n=2",
        "c,d",
        "e;f",
        'g"h',
        "i\r\nj",
        "k\x0b\x85\u2028l",
        "m\tn",
    ]
    rows = [[f"{index}.png", name] for index, name in enumerate(names)]
    text = table_text([["path", "label"], *rows])
    assert [row[2] for row in read(text)] == names
    tabs = table_text([["path", "label"], *rows], "\t")
    assert [row[2] for row in read(tabs, "labels.tsv")] == names
    assert table_text([["a", "b"], ["c", ""]]) == "a,b\nc,\n"
    assert inert("\uff1d1+1") == "'\uff1d1+1"


def test_a_space_before_a_name_is_written_as_its_own(read, tmp_path):
    for name in (" a.png", "a.png"):
        (tmp_path / name).touch()
    paths = [inert_path(" a.png"), inert_path("a.png")]
    text = table_text([["path", "label"], [paths[0], "cat"], [paths[1], "dog"]])
    assert read(text) == [(2, " a.png", "cat"), (3, "a.png", "dog")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("told", ["sep=;", '"sep=;"', "\ufeffsep=;"])
def test_what_divides_fields_may_be_told(read, told, end):
    lines = [told, "path;label;size", "a.png;cat, big;1,5", "b.png;dog;2,0", ""]
    assert read(end.join(lines).encode()) == [
        (3, "a.png", "cat, big"),
        (4, "b.png", "dog"),
    ]
    # It is no path then.
    assert read("sep=1.png,cat\n") == [(1, "sep=1.png", "cat")]


def test_labels_are_read_as_they_were_before_a_spreadsheet(read):
    assert read("a.png,'=SUM(A1)\nb.png,'n'\n") == [
        (1, "a.png", "=SUM(A1)"),
        (2, "b.png", "'n'"),
    ]
