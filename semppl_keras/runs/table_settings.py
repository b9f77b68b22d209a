"""What the options of a command say about tables of labels."""

import dataclasses

from semppl_keras.data import TableOptions
from semppl_keras.data.images.sources import is_table
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.folder import user_errors

# Of `TableOptions`; all are None where they are not given.
TABLE_OPTIONS = (
    "path_column",
    "label_column",
    "split_column",
    "keep_labels",
    "unknown_labels",
)
_OF_COLUMNS = ("path_column", "label_column", "split_column")


def asked_tables(arguments, begun=None):
    """How tables are to be read.

    Args:
        arguments: Namespace with `TABLE_OPTIONS`.
        begun: `TableOptions` that stand where nothing is asked, or None.

    Returns:
        `TableOptions`.

    Raises:
        RunError: An option is none.
    """
    given = {name: getattr(arguments, name) for name in given_tables(arguments)}
    with user_errors():
        return dataclasses.replace(begun or TableOptions(), **given)


def given_tables(arguments):
    """The names of the options that are given."""
    return [name for name in TABLE_OPTIONS if getattr(arguments, name) is not None]


def check_tables_named(arguments, sources):
    """Raises a `RunError` where columns are named, and no source is a table."""
    for name in _OF_COLUMNS:
        if getattr(arguments, name) is not None and not any(map(is_table, sources)):
            raise RunError(
                f"--{name.replace('_', '-')} is for a table (.csv, .tsv). Received: "
                f"{', '.join(map(str, sources))}. Leave it out."
            )
