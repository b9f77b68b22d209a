"""Where Label Studio's tasks name images, and the files that they stand for.

Where it is served below a path (LABEL_STUDIO_HOST=http://host/path) it puts that before
the addresses of uploads, and the whole of it before those of a storage that is synced:
seen of Label Studio 1.23. What others have written it serves as it is.
"""

import os
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
# The same below a path of the machine's, only as Label Studio itself writes them: any
# site, and anybody's disk, may have such folders.
_BELOW = re.compile(
    r"(?:(?i:https?)://[^/?#]+)?/[^?#]*?"
    r"(/data/(?:(local-files)/\?|(upload)/\d+/[0-9a-f]{8}-).*)",
    re.DOTALL,
)
# What Label Studio itself asks for where it is: with the machine, or the path alone.
_HOST = "LABEL_STUDIO_HOST"
_PATH_OF_HOST = re.compile(r"(?:(?i:https?)://[^/?#\s]+)?((?:/[^/?#\s]+)+)/?")
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
    is_served = _kind_and_place(address) is not None
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
    found = _kind_and_place(address)
    if found is None:
        return None
    kind, place = found
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


def served_path() -> str:
    """The path below which Label Studio is served, as its own variable says it; empty
    where it says none."""
    match = _PATH_OF_HOST.fullmatch(os.environ.get(_HOST, "").strip())
    return "" if match is None else match[1]


def _kind_and_place(address: str) -> tuple[str, str] | None:
    """Whether an address is of a storage or of an upload, and what is below the path;
    None of what Label Studio does not serve."""
    match = _SERVED.fullmatch(address) or _BELOW.fullmatch(address)
    if match is None:
        return None
    place, *kinds = match.groups()
    return next(kind for kind in kinds if kind is not None), place
