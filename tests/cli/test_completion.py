"""The script by which a shell completes what is typed behind `semppl`."""

import shutil
import subprocess
import sys

import pytest

from semppl_keras.cli import main
from semppl_keras.cli.completion import SHELLS

pytestmark = pytest.mark.any_backend


def script(shell, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", shell])
    assert ended.value.code in (0, None)
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_names_commands_and_options(shell, capsys):
    pytest.importorskip("shtab")
    text = script(shell, capsys)
    assert "semppl" in text
    assert "finetune" in text
    assert "labels-per-class" in text


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash completes")
def test_bash_completes_commands_options_words_and_files(capsys, tmp_path):
    pytest.importorskip("shtab")
    path = tmp_path / "semppl.bash"
    path.write_text(script("bash", capsys), encoding="utf-8")
    (tmp_path / "pictures.csv").touch()

    def completed(*words):
        asking = (
            f"source {path}; COMP_WORDS=(semppl {' '.join(words)}); "
            f"COMP_CWORD={len(words)}; _shtab_semppl; "
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "-c", asking], cwd=tmp_path, capture_output=True, text=True
        )
        return done.stdout.split()

    assert completed("fine") == ["finetune"]
    assert completed("train", "--labels-per") == ["--labels-per-class"]
    assert completed("views", "DIR", "--fit", "c") == ["crop"]
    assert completed("train", "--labelled", "pic") == ["pictures.csv"]


def test_without_the_package_it_is_told_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", "bash"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "pip install 'semppl_keras[completion]'" in told
