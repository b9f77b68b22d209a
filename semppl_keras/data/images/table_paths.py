"""Where the image files are that the fields of a table name."""

import os
import pathlib
import re
import unicodedata

from semppl_keras.checks import listed
from semppl_keras.data.images.finding import ENDINGS, find_images
from semppl_keras.data.tables.named_image import NamedImage


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
        self._below: list[str] = []
        self._all: dict[str, list[pathlib.Path]] | None = None
        self._stems: dict[pathlib.Path, dict[str, list[pathlib.Path]]] = {}

    def find(self, image: NamedImage) -> pathlib.Path:
        """The path of an image, whether there is such a file or not."""
        for text in image.readings or (image.path,):
            raw = text if image.raw is None else image.raw
            found = self._find(text, raw, image.where)
            if found is not None:
                return found
        return self._folder / image.path

    def _find(self, text: str, raw: str, where: str) -> pathlib.Path | None:
        """The file of a field, `raw` with the spaces around it; `where` it stands."""
        found = _located(self._folder, text, raw)
        other = None
        if self._other is not None:
            other = _located(self._other, text, raw)
            for rest in _from_above(self._other, text):
                other = other or _located(self._other, rest, rest)
        if found is not None:
            if other is not None and not _is_same(found, other):
                self._twice.append(text)
            return found
        if other is not None:
            self._elsewhere.append(text)
            return other
        if not text.lower().endswith(ENDINGS):
            for folder, name in self._readings(text):
                named = self._called(folder, name)
                if len(named) > 1:
                    raise ValueError(
                        f"{where} must name one image. Received: "
                        f"{text!r}, where there are "
                        f"{listed([path.name for path in named])}. Add the ending."
                    )
                if named:
                    self._by_stem.append(text)
                    return named[0]
        if self._other is not None and not set(text) & set("/\\"):
            named = self._anywhere(self._other, text)
            if len(named) == 1:
                self._below.append(text)
                return named[0]
        return None

    def _anywhere(self, folder: pathlib.Path, text: str) -> list[pathlib.Path]:
        """The image files that are found in a folder and called so, with an ending or
        not, or that Label Studio calls so when they are uploaded."""
        if self._all is None:
            self._all = {}
            for path in find_images(folder) if folder.is_dir() else ():
                name = unicodedata.normalize("NFC", path.name)
                for one in {_stem(name) or name, name, _uploaded_as(name)}:
                    self._all.setdefault(one, []).append(path)
        return self._all.get(unicodedata.normalize("NFC", text), [])

    def _readings(self, text: str) -> list[tuple[pathlib.Path, str]]:
        """(folder, path in it) of what a text may mean."""
        if self._other is None:
            return [(self._folder, text)]
        rests = [text, *_from_above(self._other, text)]
        return [(self._folder, text), *((self._other, rest) for rest in rests)]

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
        if self._below:
            remarks.append(
                f"{where}: {len(self._below):,} names, such as {self._below[0]!r}, are "
                f"those of files in folders of {str(self._other)!r}: each is the one "
                "image file that is called so."
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


def _uploaded_as(name: str) -> str:
    """What Django's `get_valid_filename`, and Label Studio with it, makes of a name."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))


def _from_above(folder: pathlib.Path, text: str) -> list[str]:
    """Texts that name in a folder what a path does that begins with the folder's own
    name, or with those of folders above it, too: as seen from there."""
    parts = pathlib.PurePath(text.replace("\\", "/")).parts
    above = pathlib.Path(os.path.abspath(folder)).parts
    return [
        "/".join(parts[count:])
        for count in range(1, min(len(parts), len(above)))
        if parts[:count] == above[-count:]
    ]


def _stems(folder: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """By name without its ending the image files of a folder."""
    try:
        entries = sorted(entry.name for entry in os.scandir(folder))
    except (OSError, ValueError):
        return {}
    found: dict[str, list[pathlib.Path]] = {}
    for entry in entries:
        stem = _stem(unicodedata.normalize("NFC", entry))
        if stem is not None:
            found.setdefault(stem, []).append(folder / entry)
    return found


def _stem(name: str) -> str | None:
    """A name without the ending of an image; None where it has none of these."""
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in ENDINGS else None
