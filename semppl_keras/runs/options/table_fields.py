"""The options for tables of labels, which several functions have."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from semppl_keras.data.images.source_names import is_table
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.checks import Options, checked, option, text, texts

if TYPE_CHECKING:
    from semppl_keras.data import TableOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableFields(Options):
    """Those of `data.TableOptions`; None where they are not given."""

    path_column: str | None = checked(text, None)
    label_column: str | None = checked(text, None)
    split_column: str | None = checked(text, None)
    keep_labels: tuple[str, ...] | None = checked(texts, None)
    unknown_labels: tuple[str, ...] | None = checked(texts, None)

    def given_tables(self) -> list[str]:
        """The names of those that are given."""
        return [name for name in TABLE_OPTIONS if getattr(self, name) is not None]

    def asked_tables(self, begun: "TableOptions | None" = None) -> "TableOptions":
        """How tables are to be read.

        Args:
            begun: `TableOptions` that stand where nothing is asked, or None.

        Raises:
            ValueError: An option is none.
        """
        # With NumPy, which the command line takes time to load.
        from semppl_keras.data import TableOptions

        given = {name: getattr(self, name) for name in self.given_tables()}
        return dataclasses.replace(begun or TableOptions(), **given)

    def check_tables_named(self, sources: Sequence[str]) -> None:
        """Raises a `RunError` where columns are named, and no source is a table."""
        for name in ("path_column", "label_column", "split_column"):
            if getattr(self, name) is not None and not any(map(is_table, sources)):
                raise RunError(
                    f"{option(name)} is for a table (.csv, .tsv, .json). Received: "
                    f"{', '.join(map(str, sources))}. Leave it out."
                )


TABLE_OPTIONS = tuple(field.name for field in dataclasses.fields(TableFields))
