"""Folders of images as people have them, and worse: generated from a seed."""

import os

import numpy as np
from PIL import Image

_MODES = {
    ".png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    ".jpg": ("L", "RGB", "CMYK"),
    ".webp": ("RGB", "RGBA"),
    ".bmp": ("1", "L", "P", "RGB"),
    ".gif": ("L", "P", "RGB"),
    ".tif": ("1", "L", "RGB", "RGBA", "CMYK", "I;16", "F"),
    ".ppm": ("1", "L", "RGB"),
    ".pgm": ("I;16",),
    "": ("L", "RGB"),
}
_NAMES = (
    "cat",
    "dog",
    "Katze, groß",
    "犬",
    "0",
    "1",
    "10",
    'a "quoted" one',
    "$x_1$ ^",
    " spaced ",
    "n" * 120,
    "=SUM(A1)",
)


class OddFolder:
    """A folder of unlabelled, labelled and test images, and the options to train on it.

    Args:
        folder: `pathlib.Path`, empty.
        seed: int.

    Attributes:
        options: list of str, for `semppl train`.
    """

    def __init__(self, folder, seed):
        self._folder = folder
        self._random = np.random.default_rng(seed)
        self._count = 0
        # Most folders are nearly in order: else none would come through.
        self._disorder = self._random.choice([0.0, 0.02, 0.1, 0.4])
        self.options = self._options()

    def _chance(self, probability):
        return self._random.random() < probability

    def _one_of(self, things):
        return things[self._random.integers(len(things))]

    # -- images -------------------------------------------------------------------

    def _image(self, folder):
        """Writes an image, or what is none, and returns its path."""
        folder.mkdir(parents=True, exist_ok=True)
        self._count += 1
        ending = self._one_of(list(_MODES))
        path = folder / f"{self._count}{ending}"
        if self._chance(self._disorder):
            return self._odd(path)
        self._save(path, ending)
        if self._chance(0.05):
            odd_name = self._one_of(
                ("ü 日本", "a,b", "x" * 200, "new\nline", "#", "-f", "%s", "\udcff")
            )
            path = path.rename(folder / f"{odd_name}{self._count}{ending}")
        return path

    def _save(self, path, ending):
        mode = self._one_of(_MODES[ending])
        width, height = (int(n) for n in self._random.integers(1, 41, 2))
        if self._chance(0.8):
            width, height = 14, 12
        pixels = self._random.integers(0, 256, (height, width, 3), "uint8")
        if mode == "I;16":
            depth = self._one_of((257, 16, 4, 1))
            # PGM is written of 32 bits by every Pillow, and has 16.
            kind = "int32" if ending == ".pgm" else "uint16"
            image = Image.fromarray(pixels[..., 0].astype(kind) * depth)
        elif mode == "F":
            image = Image.fromarray(pixels[..., 0].astype("float32") / 255)
        else:
            image = Image.fromarray(pixels).convert(mode)
        options = {}
        if ending in (".jpg", ".png", ".webp", ".tif") and self._chance(0.2):
            options["exif"] = Image.Exif()
            options["exif"][0x0112] = int(self._random.integers(0, 12))
        image.save(path, None if ending else "PNG", **options)

    def _odd(self, path):
        kind = self._random.integers(9)
        if kind == 0:
            path.touch()
        elif kind == 1:
            path.write_text("<html>not found</html>")
        elif kind == 2:
            path.mkdir()
        elif kind == 3:
            path.symlink_to("nowhere.png")
        elif kind == 4:
            path.symlink_to(path.name)
        elif kind == 5:
            os.mkfifo(path)
        elif kind == 6:
            path.write_bytes(self._random.bytes(300))
        else:
            self._save(path, path.suffix)
            content = bytearray(path.read_bytes())
            if kind == 7:
                content = content[: self._random.integers(len(content))]
            else:
                for place in self._random.integers(0, len(content), 5):
                    content[place] = self._random.integers(256)
            path.write_bytes(content)
        return path

    # -- sources ------------------------------------------------------------------

    def _unlabelled(self):
        folder = self._folder / "many"
        folder.mkdir()
        count = self._random.integers(16, 40)
        if self._chance(self._disorder):
            count = self._random.integers(0, 4)
        paths = [
            self._image(self._one_of([folder, folder / "sub", folder / "sub" / "deep"]))
            for _ in range(count)
        ]
        if self._chance(0.1):
            (folder / "loop").symlink_to(folder)
        if self._chance(0.1):
            (folder / ".hidden").mkdir()
            self._image(folder / ".hidden")
        if self._chance(0.1):
            (folder / "notes.txt").write_text("not an image")
            (folder / "noted").write_text("not an image")
        if self._chance(0.1):
            # Their own labels are of no use.
            return self._table("many.csv", [(path, "x") for path in paths])
        return folder

    def _labelled(self, name):
        classes = list(self._random.permutation(_NAMES)[: self._random.integers(2, 5)])
        if self._chance(self._disorder):
            classes = classes[: self._random.integers(0, 2)]
        counts = self._random.integers(1, 5, len(classes))
        in_table = self._chance(0.5)
        folder = self._folder / name
        folder.mkdir()
        rows = []
        for label, count in zip(classes, counts, strict=True):
            own = folder if in_table else folder / label
            rows += [(self._image(own), label) for _ in range(count)]
        if not in_table:
            return folder
        if self._chance(0.5) and (self._folder / "many").exists():
            rows += self._among_the_unlabelled(classes)
        return self._table(self._one_of([f"{name}.csv", f"{name}.tsv"]), rows)

    def _among_the_unlabelled(self, classes):
        paths = sorted(p for p in (self._folder / "many").iterdir() if p.is_file())
        return [(path, self._one_of(classes)) for path in paths[:4] if classes]

    def _table(self, name, rows):
        delimiter = "\t" if name.endswith(".tsv") else self._one_of([",", ",", ";"])
        lines = []
        for path, label in rows:
            text = os.path.relpath(path, self._folder)
            if self._chance(0.1):
                text = str(path)
            quoted = self._chance(0.5) or any(c in text + label for c in ',;\t"\n')
            fields = [text, label]
            if quoted and not self._chance(self._disorder):
                fields = ['"' + field.replace('"', '""') + '"' for field in fields]
            if self._chance(self._disorder / 4):
                fields = self._one_of([fields[:1], [*fields, "more"], ["", label], []])
            lines.append(delimiter.join(fields))
        if self._chance(0.1) and lines:
            lines.append(self._one_of(lines))
        if self._chance(self._disorder / 2):
            lines.append(f"absent.png{delimiter}cat")
        if self._chance(0.4):
            header = self._one_of(["path", "File Name", "image"]), "label"
            lines.insert(0, delimiter.join(header))
        text = self._one_of(["\n", "\r\n"]).join(lines) + self._one_of(["", "\n"])
        encoding = self._one_of(["utf-8", "utf-8", "utf-8-sig", "utf-16"])
        content = text.encode(
            encoding, "surrogatepass" if "16" in encoding else "surrogateescape"
        )
        if self._chance(self._disorder / 4):
            content = self._one_of([b"", content[:-3], self._random.bytes(200)])
        table = self._folder / name
        table.write_bytes(content)
        return table

    def _archive(self, name):
        count = int(self._random.integers(3, 12))
        arrays = {
            "images": self._random.integers(0, 256, (count, 12, 14, 3), "uint8"),
            "labels": self._random.integers(-1, 3, count),
        }
        if self._chance(self._disorder):
            arrays["labels"] = arrays["labels"][1:]
        if self._chance(self._disorder):
            arrays["images"] = arrays["images"] / 255
        path = self._folder / name
        np.savez(path, **arrays)
        return f"npz:{path}"

    # -- options ------------------------------------------------------------------

    def _options(self):
        options = ["--unlabelled", self._unlabelled()]
        labelled = self._labelled("few")
        if self._chance(0.1):
            labelled = self._archive("few.npz")
        if self._chance(self._disorder / 4):
            labelled = self._folder / "absent"
        options += ["--labelled", labelled]
        if self._chance(0.5):
            # Sometimes the labelled ones: leakage.
            test = labelled if self._chance(0.3) else self._labelled("held")
            options += ["--test", test]
        if self._chance(0.7):
            options += ["--image-size", self._random.integers(8, 20)]
        options += ["--max-skipped", self._one_of(["0%", "5%", "50%", "100%"])]
        options += ["--cache", self._one_of(["auto", "memory", "disk"])]
        if self._chance(0.2):
            options += ["--labels-per-class", self._random.integers(1, 3)]
        return [str(option) for option in options]
