"""Where the image files are that the fields of a table name."""

import os
import pathlib
import unicodedata

from semppl_keras.checks import listed
from semppl_keras.data.images.finding import ENDINGS


class Places:
    """Where the files are that the fields of a table name."""

    def __init__(
        self, table: pathlib.Path, images_folder: str | os.PathLike[str] | None
    ) -> None:
        self._folder = table.parent
        self._other = None if images_folder is None else pathlib.Path(images_folder)
        if images_folder is not None and os.path.realpath(
            images_folder
        ) == os.path.realpath(table.parent):
            self._other = None
        self._elsewhere: list[str] = []
        self._twice: list[str] = []
        self._by_stem: list[str] = []
        self._stems: dict[pathlib.Path, dict[str, list[pathlib.Path]]] = {}

    def find(self, text: str, raw: str, where: str) -> pathlib.Path:
        """The path of a field, `raw` with the spaces around it; `where` it stands."""
        found = _located(self._folder, text, raw)
        other = None
        if self._other is not None:
            other = _located(self._other, text, raw)
        if found is not None:
            if other is not None and not _is_same(found, other):
                self._twice.append(text)
            return found
        if other is not None:
            self._elsewhere.append(text)
            return other
        if not text.lower().endswith(ENDINGS):
            for folder in (self._folder, self._other):
                named = [] if folder is None else self._called(folder, text)
                if len(named) > 1:
                    raise ValueError(
                        f"{where} must name one image. Received: "
                        f"{text!r}, where there are "
                        f"{listed([path.name for path in named])}. Add the ending."
                    )
                if named:
                    self._by_stem.append(text)
                    return named[0]
        return self._folder / text

    def _called(self, folder: pathlib.Path, text: str) -> list[pathlib.Path]:
        """The image files that are called so, without their endings."""
        path = pathlib.Path(folder, text.replace("\\", "/"))
        if path.parent not in self._stems:
            self._stems[path.parent] = _stems(path.parent)
        return self._stems[path.parent].get(unicodedata.normalize("NFC", path.name), [])

    def remarks(self, where: str) -> list[str]:
        """What is worth telling about them."""
        remarks = []
        if self._elsewhere:
            remarks.append(
                f"{where}: {len(self._elsewhere):,} paths, such as "
                f"{self._elsewhere[0]!r}, are not relative to it but to "
                f"{str(self._other)!r}, and are found there."
            )
        if self._twice:
            remarks.append(
                f"{where}: {len(self._twice):,} paths, such as {self._twice[0]!r}, "
                f"name one file beside the table and another in {str(self._other)!r}: "
                "that beside the table is taken."
            )
        if self._by_stem:
            remarks.append(
                f"{where}: {len(self._by_stem):,} names, such as {self._by_stem[0]!r}, "
                "have no ending: each is the one image file that is called so."
            )
        return remarks


def _located(folder: pathlib.Path, text: str, raw: str) -> pathlib.Path | None:
    """Where the file is that a field names, without the spaces around it or with; None
    where there is none."""
    # From other systems: other separators, and letters composed in the other way.
    spellings = (text, text.replace("\\", "/"), raw, raw.replace("\\", "/"))
    for spelling in dict.fromkeys(spellings):
        for form in ("NFC", "NFD"):
            for candidate in (spelling, unicodedata.normalize(form, spelling)):
                try:
                    if (folder / candidate).exists():
                        return folder / candidate
                except (OSError, ValueError):
                    # No name that a file could have: the reader will say so.
                    return None
    return None


def _is_same(path: pathlib.Path, other: pathlib.Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        # Gone since: the reader will say so.
        return True


def _stems(folder: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """By name without its ending the image files of a folder."""
    found: dict[str, list[pathlib.Path]] = {}
    try:
        entries = sorted(entry.name for entry in os.scandir(folder))
    except (OSError, ValueError):
        return found
    for entry in entries:
        stem, ending = os.path.splitext(entry)
        if ending.lower() in ENDINGS:
            stem = unicodedata.normalize("NFC", stem)
            found.setdefault(stem, []).append(folder / entry)
    return found
