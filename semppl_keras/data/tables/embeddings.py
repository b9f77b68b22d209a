"""Features of images beside their names, for viewers of embeddings.

`.npz` is NumPy's archive (numpy.savez_compressed, no pickles); `.parquet` is what
pyarrow.parquet.write_table writes, its embeddings lists of one length.
"""

import io
import pathlib
from typing import Any

import numpy as np

from semppl_keras.data.tables.guesses import Guesses


def npz_files(
    guesses: Guesses, table: pathlib.Path
) -> tuple[dict[pathlib.Path, bytes], list[str]]:
    """An archive of `paths`, `embeddings`, `labels`, `confidences` and `given_labels`,
    a row for each image, and `class_names`; and what is worth knowing of it.

    Args:
        guesses: `Guesses`.
        table: path of the file.
    """
    file = io.BytesIO()
    arrays: dict[str, Any] = {
        "paths": np.array(guesses.paths, "U"),
        "embeddings": np.asarray(guesses.features, "float32"),
        "labels": np.array(guesses.labels, "U"),
        "confidences": np.asarray(guesses.confidences, "float32"),
        "given_labels": np.array(guesses.given, "U"),
        "class_names": np.array(guesses.class_names, "U"),
    }
    np.savez_compressed(file, **arrays)
    return {table: file.getvalue()}, []


def parquet_files(
    guesses: Guesses, table: pathlib.Path
) -> tuple[dict[pathlib.Path, bytes], list[str]]:
    """A table of path, label, confidence, given_label and embedding, and what is worth
    knowing of it.

    Args:
        guesses: `Guesses`.
        table: path of the file.

    Raises:
        ImportError: if pyarrow is not installed.
    """
    check_parquet()
    import pyarrow
    import pyarrow.parquet

    features = np.asarray(guesses.features, "float32")
    embeddings = pyarrow.FixedSizeListArray.from_arrays(
        pyarrow.array(features.ravel()), features.shape[1]
    )
    # Said, and not guessed: a column without any text would be of another kind, and the
    # file could not be joined with others.
    given = [label or None for label in guesses.given]
    texts = {"path": guesses.paths, "label": guesses.labels, "given_label": given}
    columns = {name: pyarrow.array(own, "string") for name, own in texts.items()}
    rows = pyarrow.table(
        {
            "path": columns["path"],
            "label": columns["label"],
            "confidence": np.asarray(guesses.confidences, "float32"),
            "given_label": columns["given_label"],
            "embedding": embeddings,
        }
    )
    file = io.BytesIO()
    pyarrow.parquet.write_table(rows, file)
    return {table: file.getvalue()}, []


def check_parquet() -> None:
    """Raises an ImportError where what Parquet files take is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "A Parquet file needs the package pyarrow, which is not installed: pip "
            "install pyarrow, or write an .npz file."
        ) from error
