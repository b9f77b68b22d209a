"""What the options of a command say about tables of labels."""

import dataclasses
from collections.abc import Sequence

from semppl_keras.data import TableOptions
from semppl_keras.data.images.source_names import is_table
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.checks import Options, option

# Of `TableOptions`; all are None where they are not given.
TABLE_OPTIONS = (
    "path_column",
    "label_column",
    "split_column",
    "keep_labels",
    "unknown_labels",
)
_OF_COLUMNS = ("path_column", "label_column", "split_column")


def asked_tables(options: Options, begun: TableOptions | None = None) -> TableOptions:
    """How tables are to be read.

    Args:
        options: What is asked for.
        begun: `TableOptions` that stand where nothing is asked, or None.

    Returns:
        `TableOptions`.

    Raises:
        ValueError: An option is none.
    """
    given = {name: getattr(options, name) for name in given_tables(options)}
    return dataclasses.replace(begun or TableOptions(), **given)


def given_tables(options: Options) -> list[str]:
    """The names of the options for tables that are given."""
    return [name for name in TABLE_OPTIONS if getattr(options, name) is not None]


def check_tables_named(options: Options, sources: Sequence[str]) -> None:
    """Raises a `RunError` where columns are named, and no source is a table."""
    for name in _OF_COLUMNS:
        if getattr(options, name) is not None and not any(map(is_table, sources)):
            raise RunError(
                f"{option(name)} is for a table (.csv, .tsv). Received: "
                f"{', '.join(map(str, sources))}. Leave it out."
            )
