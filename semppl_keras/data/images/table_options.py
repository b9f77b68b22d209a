"""How tables are read where a person has to say so, and what stands for no label."""

import collections
import collections.abc
import dataclasses
import re
import unicodedata
from typing import Any, Self

from semppl_keras.checks import listed

# What pandas, R, spreadsheets and labelling tools write where there is no label; case
# does not count, and numbers that are -1 or not a number are among them.
UNKNOWN_LABELS = (
    "",
    "?",
    "-",
    "--",
    "nan",
    "na",
    "n/a",
    "n.a.",
    "#n/a",
    "#na",
    "<na>",
    "nat",
    "none",
    "(none)",
    "null",
    "nil",
    "(blank)",
    "unlabeled",
    "unlabelled",
    "not labeled",
    "not labelled",
    "no label",
)
# A folder for a class is made by hand, or by FiftyOne, which calls that of images
# without a label "_unlabeled": there, none of the others came from a program.
UNKNOWN_FOLDERS = (
    "-1",
    "_unlabeled",
    "unlabeled",
    "unlabelled",
    "not labeled",
    "not labelled",
)

# Often a class, and often not: taken for one, and told.
_DOUBTFUL_LABELS = (
    "unknown",
    "undefined",
    "unclassified",
    "missing",
    "blank",
    "empty",
    "tbd",
    "todo",
)

_WHOLE_FLOAT = re.compile(r"(\d+)\.0*")
_WHOLE_NUMBER = re.compile(r"\d+(\.0*)?")


@dataclasses.dataclass(frozen=True)
class TableOptions:
    """What a person says about tables of labels that can be read in several ways.

    Args:
        path_column: str, name of the column of the images' paths; None for the one
            whose name, or content, says so.
        label_column: str, name of the column of the labels; None likewise.
        split_column: str, "NAME=VALUE" or "NAME=VALUE,VALUE": the column, and what it
            says of the rows to train on; the others are to test on. "none": all rows
            are taken. None: columns called split, set, is_valid, ..., and those that
            say train and test, are understood.
        keep_labels: tuple of str, classes although they are spelled like an unknown
            label, or like a number that is none.
        unknown_labels: tuple of str, further spellings of an unknown label.
        lenient: bool: of several columns for labels or paths the first is taken, where
            otherwise it is asked which, and all rows are.

    Raises:
        ValueError: if they are no texts, or `split_column` names no values.

    Example:
        >>> TableOptions(label_column="species", keep_labels=("none",))
    """

    path_column: str | None = None
    label_column: str | None = None
    split_column: str | None = None
    keep_labels: tuple = ()
    unknown_labels: tuple = ()
    lenient: bool = False

    def __post_init__(self) -> None:
        for name in ("path_column", "label_column", "split_column"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise ValueError(
                    f"`{name}` must be the name of a column, or None. Received: "
                    f"{value!r}."
                )
        for name in ("keep_labels", "unknown_labels"):
            value = getattr(self, name)
            if not isinstance(value, list | tuple) or not all(
                isinstance(label, str) for label in value
            ):
                raise ValueError(
                    f"`{name}` must be a tuple of texts. Received: {value!r}."
                )
            plain = tuple(plain_label(label) for label in value)
            object.__setattr__(self, name, plain)
        column, equals, values = (self.split_column or "none").partition("=")
        if (equals or column != "none") and not (column and values):
            raise ValueError(
                "`split_column` must be NAME=VALUE, the column and what it says of the "
                f"rows to train on, or 'none'. Received: {self.split_column!r}."
            )

    @classmethod
    def from_dict(cls, entries: Any) -> Self:
        """As `to_dict` has written them.

        Args:
            entries: dict; None in a `run.json` of version 0.1 that has none, where
                nothing was asked.

        Raises:
            ValueError: if they are something else.
        """
        names = {field.name for field in dataclasses.fields(cls)} - {"lenient"}
        if entries is None:
            return cls(lenient=True)
        if not isinstance(entries, dict) or not set(entries) <= names:
            raise ValueError(
                f"The options of tables must be among {', '.join(sorted(names))}. "
                f"Received: {str(entries)[:80]}."
            )
        return cls(**entries)

    def to_dict(self) -> dict[str, Any]:
        """A dict that `json` can write."""
        entries = dataclasses.asdict(self)
        del entries["lenient"]
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in entries.items()
        }

    def keeping(self, class_names: collections.abc.Iterable[Any]) -> Self:
        """The same, with what are classes already."""
        kept = dict.fromkeys((*self.keep_labels, *map(str, class_names)))
        return dataclasses.replace(self, keep_labels=tuple(kept))

    def is_unknown(
        self, label: str, spellings: tuple[str, ...] = UNKNOWN_LABELS
    ) -> bool:
        """Whether a label stands for none."""
        if label in self.keep_labels:
            return False
        plain = " ".join(label.casefold().split())
        if plain in spellings or label in self.unknown_labels:
            return True
        return spellings is UNKNOWN_LABELS and _is_no_number(plain)


def plain_label(text: str) -> str:
    """The label that a field or a folder's name is: what looks the same is the same."""
    return unicodedata.normalize("NFC", text.strip())


def known_labels(
    texts: collections.abc.Sequence[str | None],
    options: TableOptions,
    *,
    spellings: tuple[str, ...] = UNKNOWN_LABELS,
) -> tuple[list[str | None], list[str]]:
    """The classes that texts name.

    Args:
        texts: sequence of str, or of None where there is no label.
        options: `TableOptions`.
        spellings: of an unknown label.

    Returns:
        list of str, None where the label is unknown: where all classes are whole
        numbers those that were written as floats, as pandas does where one is missing,
        without the point. And a list of str, what is worth telling of them.
    """
    labels = [None if text is None else plain_label(text) for text in texts]
    unknown = collections.Counter(
        label for label in labels if label and options.is_unknown(label, spellings)
    )
    labels = [None if not label or label in unknown else label for label in labels]
    counts = collections.Counter(label for label in labels if label is not None)
    remarks = []
    # -1 is what stands for it everywhere.
    spelled = {name: count for name, count in unknown.items() if name != "-1"}
    if spelled:
        counted = ", ".join(f"{count:,} {name!r}" for name, count in spelled.items())
        remarks.append(
            f"Labels that stand for none: {counted}. Where one is a class, say so with "
            "--keep-labels."
        )
    floats = {name: _WHOLE_FLOAT.fullmatch(name) for name in counts}
    whole = {name: match[1] for name, match in floats.items() if match}
    numbers = all(map(_WHOLE_NUMBER.fullmatch, counts))
    if whole and numbers and not set(whole) & set(options.keep_labels):
        remarks.append(
            f"{sum(counts[name] for name in whole):,} labels are whole numbers with a "
            f"point, such as {next(iter(whole))!r}: they name the classes without it."
        )
        labels = [label and whole.get(label, label) for label in labels]
    doubtful = [
        name
        for name in counts
        if name not in options.keep_labels
        and (name.casefold() in _DOUBTFUL_LABELS or options.is_unknown(name))
    ]
    if doubtful:
        remarks.append(
            f"Taken for classes: {listed(doubtful)} "
            f"({sum(counts[name] for name in doubtful):,} images). Where one stands "
            "for no label, say so with --unknown-labels."
        )
    return labels, remarks


def _is_no_number(text: str) -> bool:
    try:
        # Word processors write a minus sign in place of the hyphen.
        number = float(text.replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        return False
    # NaN is unlike itself.
    return number == -1 or number != number
