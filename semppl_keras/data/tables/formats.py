"""The forms in which labels go to other programs, and come from them: the one list."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from semppl_keras.data.images.table_options import TableOptions
from semppl_keras.data.tables.coco import coco_files, is_coco, read_coco
from semppl_keras.data.tables.embeddings import (
    check_parquet,
    npz_files,
    parquet_files,
)
from semppl_keras.data.tables.fiftyone import (
    fiftyone_files,
    is_fiftyone,
    read_fiftyone,
)
from semppl_keras.data.tables.guesses import Guesses
from semppl_keras.data.tables.label_studio import (
    is_label_studio,
    label_studio_files,
    read_label_studio,
)
from semppl_keras.data.tables.named_image import NamedImage

_Files = tuple[dict[pathlib.Path, bytes], list[str]]


@dataclasses.dataclass(frozen=True)
class Format:
    """A form of labels.

    Args:
        files: function of `Guesses` and a path that gives what files hold, by their
            paths, and a list of texts to tell.
        of_files: whether it names image files, and can name nothing else.
        knows: function of the content of a JSON file: whether it is of this form; None
            where it is not read.
        read: function of what `knows` knows, the path of the file, `TableOptions`, a
            role and a list of remarks that gives a list of `NamedImage`.
        check: function that raises an ImportError where something is not installed.
    """

    files: Callable[[Guesses, pathlib.Path], _Files]
    of_files: bool = True
    knows: Callable[[Any], bool] | None = None
    read: (
        Callable[
            [Any, pathlib.Path, TableOptions, str, list[str]],
            list[NamedImage],
        ]
        | None
    ) = None
    check: Callable[[], None] | None = None


# Beside tables (.csv), which have a writer and a reader of their own; the names are
# those of `data.defaults.LABEL_FORMATS`.
FORMATS = {
    "label-studio": Format(
        label_studio_files, knows=is_label_studio, read=read_label_studio
    ),
    "coco": Format(coco_files, knows=is_coco, read=read_coco),
    "fiftyone": Format(fiftyone_files, knows=is_fiftyone, read=read_fiftyone),
    "npz": Format(npz_files, of_files=False),
    "parquet": Format(parquet_files, of_files=False, check=check_parquet),
}
