"""Files that are there whole or not at all."""

import pytest

from semppl_keras.runs.whole_files import whole_file, write_json

pytestmark = pytest.mark.any_backend


def _fail(path, error):
    with whole_file(path) as partial:
        partial.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_what_failed(tmp_path, error):
    path = tmp_path / "new" / "a.json"
    write_json(path, {"a": 1})
    before = path.read_bytes()
    with pytest.raises(error):
        _fail(path, error)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == before


@pytest.mark.parametrize("ending", [".json", ".keras", ""])
def test_a_name_may_be_as_long_as_the_system_lets_it(tmp_path, ending):
    # Letters of three bytes each, 255 in all with what is left over.
    name = "\u5b57" * ((255 - len(ending)) // 3)
    path = tmp_path / (name + "x" * (255 - len(ending) - 3 * len(name)) + ending)
    with whole_file(path) as partial:
        assert partial.suffix == (".keras" if ending == ".keras" else ".partial")
        partial.write_text("whole")
    assert path.read_text() == "whole"
