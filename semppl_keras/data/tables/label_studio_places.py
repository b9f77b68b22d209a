"""Where Label Studio's tasks name images, and the files that they stand for."""

import re
import urllib.parse
from typing import Any

from semppl_keras.data.images.finding import ENDINGS
from semppl_keras.data.tables.json_content import shown

# As the template for classifying images calls it.
IMAGE = "image"
LOCAL = "/data/local-files/"
# With the machine that serves them or without: a folder of somebody's may be called so.
_SERVED = re.compile(
    r"(?:(?i:https?)://[^/?#]+)?(/data/(local-files|upload)/.*)", re.DOTALL
)
# What Label Studio puts before the name of a file that somebody has uploaded.
_UPLOAD_PREFIX = re.compile(r"[0-9a-f]{8}-")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def entries_of_images(data: dict[str, Any]) -> list[str]:
    """The names of those of a task's `data` that may be of its image."""
    if IMAGE in data:
        return [IMAGE]
    return [
        name
        for name, value in data.items()
        if isinstance(value, str)
        and urllib.parse.unquote(value).lower().endswith(ENDINGS)
    ]


def place_of(address: str, where: str) -> tuple[str, bool]:
    """The path that an address stands for, and whether the file was uploaded.

    Args:
        address: str, as a task has it.
        where: str, where it stands, for messages.

    Raises:
        ValueError: if it is that of something on another machine.
    """
    served = served_place(address)
    if served is not None:
        return served
    is_served = _SERVED.fullmatch(address)
    is_remote = _SCHEME.match(address) and not re.match(r"[A-Za-z]:[\\/]", address)
    if not is_served and not is_remote:
        return address, False
    raise ValueError(
        f"{where} must name an image file, by its path or as Label Studio serves those "
        f"of this machine ({LOCAL}?d=PATH). Received: {shown(address)}. Nothing is "
        "fetched: have the image here, and its path in the task."
    )


def served_place(address: str) -> tuple[str, bool] | None:
    """The same of an address of Label Studio's own; None of any other."""
    match = _SERVED.fullmatch(address)
    if match is None:
        return None
    place, kind = match.groups()
    if kind == "local-files":
        query = urllib.parse.urlsplit(place).query
        places = urllib.parse.parse_qs(query, errors="surrogateescape").get("d")
        if places and places[0] and "\0" not in places[0]:
            return places[0], False
    else:
        name = urllib.parse.unquote(place, errors="surrogateescape").rsplit("/", 1)[1]
        if name and "\0" not in name:
            return _UPLOAD_PREFIX.sub("", name, count=1), True
    return None
