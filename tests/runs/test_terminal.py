"""What reaches a terminal, whatever names there are."""

import contextlib
import io
import os
import sys

import pytest

from semppl_keras.cli import main
from semppl_keras.runs.terminal import plain_output, shown

pytestmark = pytest.mark.any_backend

STEERING = [chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))]
STEERING += ["\u202e", "\u2066", "\u200f", "\u2028", "\u061c", "\udcff"]


@pytest.mark.parametrize("character", STEERING)
def test_nothing_steers_the_terminal(character):
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        plain_output(),
    ):
        print(f"name {character}[2J.png", flush=True)
        print(f"name {character}", file=sys.stderr)
        sys.stdout.writelines([f"a{character}\n"])
    for printed in (out.getvalue(), err.getvalue(), shown(f"a{character}b")):
        assert character not in printed
        assert "\\" in printed
    assert out.getvalue().count("\n") == 2


def test_a_name_is_no_progress_bar():
    out = io.StringIO()
    with contextlib.redirect_stdout(out), plain_output():
        print("\r\x1b[2J\x1b]0;title\x07\x9b1m\u202e")
    assert out.getvalue() == "\r\\x1b[2J\\x1b]0;title\\x07\\x9b1m\\u202e\n"


def test_text_stays_as_it_is():
    text = "K\u00e4se, \u72ac, \U0001f431, tab\tand\nline \\ 'quoted'"
    out = io.StringIO()
    with contextlib.redirect_stdout(out), plain_output():
        print(text, end="")
        sys.stdout.write("\r\x1b[1m3/4\x1b[0m \x08\n")
        assert not sys.stdout.isatty()
    assert out.getvalue() == text + "\r\x1b[1m3/4\x1b[0m \x08\n"
    assert shown("a\nb\tc") == "a\\nb\\tc"


def test_what_an_encoding_lacks_is_written_as_its_code():
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="cp1252")
    with contextlib.redirect_stdout(out), plain_output():
        print("K\u00e4se \u72ac")
    out.flush()
    assert raw.getvalue().rstrip() == b"K\xe4se \\u72ac"


def test_errors_are_one_line_without_control_characters(tmp_path, capsys):
    name = "a\x1b[2Jb\nsemppl: all is well\x9b\u202e"
    folder = tmp_path / name
    assert main(["report", str(folder)]) == 2
    with pytest.raises(SystemExit):
        main(["train", "--backbone", name])
    with pytest.raises(SystemExit):
        main(["train", name])
    os.mkdir(folder)
    assert main(["train", "--unlabelled", str(folder), "--labelled", str(folder)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 4
    assert not set(told) & {"\x1b", "\x9b", "\u202e"}
