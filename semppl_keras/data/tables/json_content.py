"""Content of JSON files that others have written: whatever it is, it is checked."""

import json
import os
import pathlib
import re
from typing import Any

# Labels of a million images, with all that a program writes beside them.
_MOST_BYTES = 2**28
# Those of every program that is known here lie less deep.
_DEEPEST = 32


def json_content(path: str | os.PathLike[str]) -> Any:
    """What a JSON file holds.

    Args:
        path: path of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds something else, or more than can be meant.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There must be a file at {str(path)!r}. Received: "
            + ("a folder." if path.is_dir() else "a path where nothing is.")
        )
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise ValueError(
            f"{str(path)!r} must have at most {_MOST_BYTES:,} bytes. Received: "
            f"{size:,}. Divide it, or write a table (.csv)."
        )
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    # Deep nesting is the latter.
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{str(path)!r} must hold JSON. Received something else, or a part of it "
            f"({error})."
        ) from error
    if _is_too_deep(content):
        raise ValueError(
            f"{str(path)!r} must hold labels of images. Received: JSON that is nested "
            f"deeper than {_DEEPEST}."
        )
    return content


def json_text(content: Any) -> bytes:
    """The file of what `json` can write."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def kind(value: Any) -> str:
    """What a value is called to people."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    if value is None:
        return "null"
    return names.get(type(value), "a number")


def shown(value: Any) -> str:
    """A value for a message, short and harmless for a terminal."""
    return re.sub(r"[^\x20-\x7e\xa1-\uffff]", "?", repr(value))[:80]


def text_of(value: Any) -> str | None:
    """A text that a label or a path can be, of a number its digits; None of others."""
    if isinstance(value, str):
        return None if "\0" in value else value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**18 else None
    return None


def _is_too_deep(content: Any) -> bool:
    level = [content]
    for _ in range(_DEEPEST + 1):
        level = [
            part
            for one in level
            if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True
