"""JSON files of a run folder, which may be damaged or somebody else's."""

import json
import math
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from semppl_keras.backbones.specs import parse
from semppl_keras.data.datasets.specs import is_spec
from semppl_keras.data.defaults import CACHES, FITS
from semppl_keras.data.images.value_ranges import as_ranges
from semppl_keras.recipes.defaults import RECIPE_NAMES
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.checks import BALANCES

_BRING_BACK = "Bring it back from a copy, or train again."

# More than a run of a million epochs writes.
_MOST_BYTES = 2**28
# What options take at most.
_MOST = 2**32 - 1
_LARGEST_SIDE = 2**14
# Every part of what semppl writes lies less deep.
_DEEPEST = 32


class Entry(NamedTuple):
    """What an entry of a JSON object may be.

    Args:
        kinds: Types.
        allows: Function of a value of these types: whether it may be this one.
        expected: Words that follow "must have an entry NAME" where it may not.
        optional: Whether it may be missing.
    """

    kinds: Any
    allows: Callable[[Any], bool] | None = None
    expected: str = ""
    optional: bool = False


def integer(least: int = 0, most: int = _MOST, *, optional: bool = False) -> Entry:
    """An integer in a range."""
    kinds = int | None if optional else int
    return Entry(
        kinds,
        lambda value: value is None or least <= value <= most,
        f"from {least:,} to {most:,}",
        optional,
    )


def number(
    least: float = -1e300, most: float = 1e300, *, optional: bool = False
) -> Entry:
    """A finite number in a range; None, too, where it is optional."""
    kinds = int | float | None if optional else int | float
    return Entry(
        kinds,
        # Neither is NaN.
        lambda value: value is None or least <= value <= most,
        f"from {least:g} to {most:g}",
        optional,
    )


def one_of(*values: str | None, optional: bool = False) -> Entry:
    """One of some texts, or None among them; optional, the entry may be missing."""
    kinds = str | None if None in values else str
    named = ", ".join(str(value) for value in values)
    expected = f"that is one of {named}"
    return Entry(kinds, lambda value: value in values, expected, optional)


def path(*, optional: bool = False) -> Entry:
    """Text that a path can be."""
    return Entry(
        str | None if optional else str,
        lambda value: value is None or (bool(value) and "\0" not in value),
        "that is a path",
    )


def _is_dataset(value: str | dict[str, Any]) -> bool:
    if isinstance(value, dict):
        return True
    return is_spec(value) and "\0" not in value


def _is_value_range(value: Any) -> bool:
    try:
        return value is None or bool(as_ranges(value))
    except ValueError:
        return False


def _is_backbone(value: Any) -> bool:
    try:
        return value is None or bool(parse(value))
    except ValueError:
        return False


def _are_class_names(value: list[Any] | None) -> bool:
    if value is None:
        return True
    return (
        len(value) > 0
        and all(isinstance(name, str) and _is_name(name) for name in value)
        and len(set(value)) == len(value)
    )


def _is_name(text: str) -> bool:
    """Whether a file or a cell of a table could be called so."""
    try:
        return bool(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return False


def _is_earlier_run(value: dict[str, Any]) -> bool:
    numbers = value.get("labels") or {}
    return (
        isinstance(value.get("run"), str)
        and isinstance(value.get("trained"), bool)
        and isinstance(value.get("same_labels"), bool)
        and isinstance(value.get("class_names"), list)
        and _are_class_names(value["class_names"])
        and isinstance(numbers, dict)
        and all(
            isinstance(numbers.get(name, 0), int)
            for name in ("added", "changed", "removed")
        )
    )


DATASET = Entry(
    str | dict,
    _is_dataset,
    'that is "digits", npz:FILE, folder:DIR, tfds:NAME or an object',
)
LABELS_PER_CLASS = Entry(
    int | str,
    lambda value: value == "all" if isinstance(value, str) else 1 <= value <= _MOST,
    f'that is "all" or from 1 to {_MOST:,}',
)
CLASS_NAMES = Entry(
    list | None,
    _are_class_names,
    "that is a list of different texts",
    optional=True,
)
SHARE_OR_NONE = Entry(
    int | float | None,
    lambda value: value is None or 0 <= value <= 1,
    "from 0 to 1, or null",
)

# What `run.json` holds, and of a person's own images its `dataset`.
SETTINGS = {
    "dataset": DATASET,
    "labels_per_class": LABELS_PER_CLASS,
    "epochs": integer(0),
    "steps_per_epoch": integer(1, optional=True),
    "minutes": number(1e-30, 1e30, optional=True),
    "seed": integer(0),
    "backend": str,
    "batch_size": integer(2, optional=True),
    "learning_rate": number(1e-30, 1e30, optional=True),
    "recipe": one_of(*RECIPE_NAMES, None, optional=True),
    "labelled_share": number(1e-30, 1 - 1e-9, optional=True),
    "strangers": Entry(bool | None, optional=True),
    "balance": one_of(*BALANCES, None, optional=True),
    "class_names": CLASS_NAMES,
    "images_digest": Entry(str | None, optional=True),
    "labels": Entry(dict, optional=True),
    "from": Entry(
        dict | None,
        lambda value: value is None or _is_earlier_run(value),
        "that is what semppl train --from has noted",
        optional=True,
    ),
    "value_range": Entry(
        dict | None,
        _is_value_range,
        "of two finite numbers, the lower first, or null for `integers` and `floats`",
        optional=True,
    ),
}
OWN_DATASET = {
    "unlabelled": path(),
    "labelled": path(),
    "test": path(optional=True),
    "image_size": integer(1, _LARGEST_SIDE),
    "fit": one_of(*FITS, optional=True),
    "backbone": Entry(str | None, _is_backbone, "that names a backbone, or null"),
    "max_skipped": number(0, 1),
    "max_megapixels": number(1e-6, 1e6, optional=True),
    "cache": one_of(*CACHES),
}


def read_json(
    file: pathlib.Path,
    entries: Mapping[str, Any] | None = None,
    advice: str = _BRING_BACK,
) -> dict[str, Any]:
    """What a JSON file of a run folder holds.

    Args:
        file: `pathlib.Path`.
        entries: Dict of the entries that it has to have to types, or to an `Entry`; or
            None.
        advice: A sentence: what to do where it is not so.

    Returns:
        Dict.

    Raises:
        RunError: The file cannot be read, or holds something else.
    """
    try:
        size = file.stat().st_size
        text = file.read_text(encoding="utf-8") if size <= _MOST_BYTES else None
        content = None if text is None else json.loads(text)
    except OSError as error:
        raise RunError(
            f"There must be a file {str(file)!r} that can be read. Received: "
            f"{error.strerror or error}. {advice}"
        ) from error
    # Texts in another encoding are among the former, deep nesting is the latter.
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{str(file)!r} must hold JSON, as semppl has written it. Received "
            f"something else, or a part of it ({error}). {advice}"
        ) from error
    if text is None:
        raise RunError(
            f"{str(file)!r} must have at most {_MOST_BYTES:,} bytes. Received: "
            f"{size:,}. {advice}"
        )
    if not isinstance(content, dict):
        raise RunError(
            f"{str(file)!r} must hold a JSON object, as semppl has written it. "
            f"Received: a {type(content).__name__}. {advice}"
        )
    if _depth(content) > _DEEPEST:
        raise RunError(
            f"{str(file)!r} must hold JSON, as semppl has written it. Received: some "
            f"that is nested deeper than {_DEEPEST}. {advice}"
        )
    check_entries(file, content, entries or {}, advice)
    return content


def read_run_json(file: pathlib.Path) -> dict[str, Any]:
    """What `run.json` holds, each entry in its range.

    Args:
        file: `pathlib.Path`.

    Returns:
        Dict.

    Raises:
        RunError: The file cannot be read, or holds something else.
    """
    settings = read_json(file, SETTINGS)
    check_dataset(file, settings["dataset"])
    return settings


def check_dataset(file: pathlib.Path, dataset: Any) -> None:
    """Raises a `RunError` where a person's own images are not what they may be.

    Args:
        file: Path, for the message.
        dataset: What stands there for a data set, which is a `DATASET`.
    """
    if isinstance(dataset, dict):
        check_entries(file, dataset, OWN_DATASET)


def check_entries(
    file: pathlib.Path,
    content: Mapping[str, Any],
    entries: Mapping[str, Any],
    advice: str = _BRING_BACK,
) -> None:
    """Raises a `RunError` where an entry is missing, or is not what it may be.

    Args:
        file: Path, for the message.
        content: Dict.
        entries, advice: As `read_json` takes them.
    """
    for name, entry in entries.items():
        if not isinstance(entry, Entry):
            entry = Entry(entry)
        if name not in content:
            if entry.optional:
                continue
            expected, received = f"({_names(entry.kinds)})", "none"
        elif not _is_of(content[name], entry.kinds):
            expected, received = f"({_names(entry.kinds)})", _shown(content[name])
        elif entry.allows is not None and not entry.allows(content[name]):
            expected, received = entry.expected, _shown(content[name])
        else:
            continue
        raise RunError(
            f"{str(file)!r} must have an entry {name!r} {expected}. Received: "
            f"{received}. {advice}"
        )


def _depth(content: Any) -> int:
    """How many containers lie within each other."""
    depth, level = 0, [content]
    while level and depth <= _DEEPEST:
        depth += 1
        parts = [
            part
            for one in level
            for part in (one.values() if isinstance(one, dict) else one)
        ]
        level = [part for part in parts if isinstance(part, dict | list)]
    return depth


def _is_of(value: Any, kinds: Any) -> bool:
    if isinstance(value, bool):
        # To Python True is an integer.
        return kinds in (bool, bool | None)
    return isinstance(value, kinds)


def _names(kinds: Any) -> str:
    return getattr(kinds, "__name__", None) or str(kinds)


def _shown(value: Any) -> str:
    if isinstance(value, int) and abs(value) > 10**20:
        return f"an integer of {math.floor(math.log10(abs(value))) + 1} digits"
    # Whatever the text would do to a terminal.
    return re.sub(r"[^\x20-\x7e\xa1-\uffff]", "?", repr(value))[:80]
