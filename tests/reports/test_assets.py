"""CSS and JavaScript of the pages: files, and what Python puts into them."""

import pathlib
import re

import pytest

import semppl_keras
from semppl_keras.reports.html_pages import page, script_of, style_of

pytestmark = pytest.mark.any_backend

PACKAGE = pathlib.Path(semppl_keras.__file__).parent
ASSETS = PACKAGE / "reports" / "assets"


def test_pages_have_their_style_and_scripts_from_files():
    assert {path.name for path in ASSETS.iterdir()} == {
        "contact_sheet.css",
        "contact_sheet.js",
        "embedding_map.css",
        "embedding_map.js",
        "html_pages.css",
        "run_page.css",
    }
    for path in ASSETS.glob("*.css"):
        text = style_of(path.stem)
        assert text == "\n" + path.read_text(encoding="utf-8")
        assert text.count("{") == text.count("}") > 0
    assert style_of("html_pages") in page("title", "")
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        found = re.search(r"addEventListener|getElementById|\{ display:", text)
        assert found is None, f"{path} holds {found[0]!r}"


def test_a_script_gets_its_values_and_no_text_of_them_is_filled_in():
    evil = "DATA NAMES</script>"
    sheet = script_of(
        "contact_sheet",
        PATHS=[evil, "FILE"],
        NAMES=["PATHS"],
        CONFIDENCES=[0.5, 1.0],
        GIVEN=[["NAMES", "FILE"]],
        EVALUATED=["="],
        FILE="labels.csv",
    )
    assert sheet.startswith(
        '\nconst paths = ["DATA NAMES\\u003c/script>","FILE"], names = ["PATHS"], '
        "confidences = [0.5,1.0];\n"
        'const given = [["NAMES","FILE"]], evaluated = ["="], file = "labels.csv";\n'
    )
    source = (ASSETS / "contact_sheet.js").read_text(encoding="utf-8")
    assert sheet.split("\n")[3:] == source.split("\n")[2:]
    # A page in which something is missing would show nothing at all.
    with pytest.raises(ValueError, match="DATA.*Received: none"):
        script_of("embedding_map")
    with pytest.raises(ValueError, match="DATA.*Received: DATA, OTHER"):
        script_of("embedding_map", DATA={}, OTHER=1)
