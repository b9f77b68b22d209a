"""Tables of labels, as spreadsheets, editors and scripts write them."""

import pytest

from semppl_keras.data.label_tables import read_label_table

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
