"""Columns of tables that say which rows are to train on, and which to test on."""

import collections

from semppl_keras.data.checks import listed

_SPLIT_NAMES = (
    "split",
    "splits",
    "subset",
    "set",
    "partition",
    "phase",
    "usage",
    "datasetsplit",
    "datasplit",
    "traintest",
    "trainvaltest",
)
# Folds of a cross-validation set nothing apart by themselves.
_FOLD_NAMES = ("fold", "folds", "kfold", "cvfold")
_TRAIN, _VALIDATION, _TEST, _NEITHER = "train", "validation", "test", "neither"
_APART = (_TEST, _VALIDATION, _NEITHER)
_FLAG_NAMES = {
    "train": _TRAIN,
    "istrain": _TRAIN,
    "istraining": _TRAIN,
    "valid": _VALIDATION,
    "val": _VALIDATION,
    "isvalid": _VALIDATION,
    "isval": _VALIDATION,
    "isvalidation": _VALIDATION,
    "test": _TEST,
    "istest": _TEST,
    "holdout": _TEST,
    "isholdout": _TEST,
    "heldout": _TEST,
}
_PARTS = {
    _TRAIN: ("train", "training", "trn", "tr", "learn", "learning", "fit"),
    _VALIDATION: ("val", "valid", "validation", "dev", "eval", "evaluation"),
    _TEST: (
        "test",
        "testing",
        "tst",
        "holdout",
        "heldout",
        "publictest",
        "privatetest",
    ),
    _NEITHER: ("unlabeled", "unlabelled", "unlabel", "unused", "ignore"),
}
_PART_OF = {value: part for part, values in _PARTS.items() for value in values}
_WORDS_APART = {value for value, part in _PART_OF.items() if part != _TRAIN}
_TRUE = ("true", "t", "yes", "y", "1", "1.0")
_FALSE = ("false", "f", "no", "n", "0", "0.0", "")


def rows_of_role(names, rows, role, options, where, used=()):
    """The rows of a table that are for one role.

    Args:
        names: list of str, of the columns, as `plain_name` gives them.
        rows: list of lists of str, without spaces around them.
        role: "labelled" or "test".
        options: `TableOptions`.
        where: str, what the table is called.
        used: indices of the columns of paths and labels, which divide nothing by
            themselves.

    Returns:
        list of bool, and a list of str: what is worth telling.

    Raises:
        ValueError: if a column divides the rows in a way that has to be asked for.
    """
    if options.lenient or options.split_column == "none":
        return [True] * len(rows), []
    if options.split_column is not None:
        parts, remarks = _asked(names, rows, role, options.split_column, where)
    else:
        parts, remarks = _understood(names, rows, where, used)
    if not parts:
        return [True] * len(rows), remarks
    # What one column sets apart is set apart.
    column = [
        next((part for part in _APART if part in of_row), _TRAIN)
        for of_row in zip(*parts.values(), strict=True)
    ]
    counts = collections.Counter(column)
    wanted = _wanted(counts, role)
    by = f"the column(s) {listed(list(parts))}"
    if len(counts) == 1 and wanted not in counts:
        # What is the same everywhere divides nothing.
        remarks.append(
            f"All rows of {where} are called {column[0]} by {by}: they are taken as "
            f"{role} ones."
        )
        return [True] * len(rows), remarks
    others = {part: count for part, count in counts.items() if part != wanted}
    if not counts[wanted]:
        raise ValueError(
            f"{where} must have rows that are {role} images. Received: none that {by} "
            f"leave, but {_counted(others)}. Choose rows with --split-column "
            "NAME=VALUE, or all with --split-column none."
        )
    if others:
        remarks.append(
            f"{sum(others.values()):,} of {len(rows):,} rows of {where} are left out "
            f"of the {role} ones by {by}: {_counted(others)}. Other rows are chosen "
            "with --split-column NAME=VALUE, all with --split-column none."
        )
    return [part == wanted for part in column], remarks


def plain_name(name):
    """The name of a column, without what does not matter."""
    return name.casefold().replace("_", "").replace(" ", "").replace("-", "")


def _wanted(counts, role):
    if role == "labelled":
        return _TRAIN
    # What was tuned on is the second choice.
    return _TEST if _TEST in counts else _VALIDATION


def _counted(counts):
    return ", ".join(f"{count:,} {part}" for part, count in counts.items())


def _asked(names, rows, role, text, where):
    column, _, values = text.partition("=")
    wanted = {value.strip().casefold() for value in values.split(",")}
    if names.count(plain_name(column)) > 1:
        raise ValueError(
            f"{where} must have one column {column!r} that --split-column names. "
            f"Received: {names.count(plain_name(column))}. Rename the others."
        )
    index = names.index(plain_name(column)) if plain_name(column) in names else None
    if index is None:
        if role == "test":
            return {}, []
        raise ValueError(
            f"{where} must have the column {column!r} that --split-column names. "
            f"Received: {listed(names, 8) if names else 'no names of columns'}."
        )
    found = [row[index].casefold() for row in rows]
    if not wanted & set(found):
        raise ValueError(
            f"The column {column!r} of {where} must have rows with {values!r}, as "
            f"--split-column says. Received: {listed(sorted(set(found)))}."
        )
    return {
        column: [_TRAIN if value in wanted else _TEST for value in found],
    }, []


def _understood(names, rows, where, used):
    """By column, of those that set rows apart, the part of each row."""
    parts, remarks = {}, []
    for index, name in enumerate(names):
        if index in used:
            continue
        found = [" ".join(row[index].casefold().split()) for row in rows]
        if name in _FLAG_NAMES and set(found) <= {*_TRUE, *_FALSE}:
            own = _FLAG_NAMES[name]
            other = _TEST if own == _TRAIN else _TRAIN
            parts[name] = [own if value in _TRUE else other for value in found]
        elif name in (*_SPLIT_NAMES, *_FOLD_NAMES):
            plain = [plain_name(value) for value in found]
            if set(plain) <= {*_PART_OF, ""} and set(plain) & set(_PART_OF):
                parts[name] = [_PART_OF.get(value, _TRAIN) for value in plain]
                if blank := plain.count(""):
                    remarks.append(
                        f"{blank:,} rows of {where} have nothing in the column "
                        f"{name!r}: they count as rows to train on."
                    )
            elif name in _FOLD_NAMES and set(plain) & _WORDS_APART:
                # The numbered ones take turns; what has a name is apart.
                parts[name] = [_PART_OF.get(value, _TRAIN) for value in plain]
            elif name in _FOLD_NAMES and len(set(found)) > 1:
                remarks.append(
                    f"The column {name!r} of {where} leaves nothing out: "
                    f"{listed(sorted(set(found)))}. To leave out what is to test on: "
                    f"--split-column {name}=VALUE,VALUE with those to train on."
                )
            elif len(set(found)) > 1:
                raise ValueError(
                    f"The column {name!r} of {where} must say of each row train, val "
                    f"or test. Received: {listed(sorted(set(found)))}. Say which rows "
                    f"are to train on with --split-column {name}=VALUE, or take all "
                    "with --split-column none."
                )
        # Whatever it is called.
        elif _divides(found):
            parts[name] = [_PART_OF[plain_name(value)] for value in found]
    return parts, remarks


def _divides(values):
    """Whether all of them say train, val or test, and not all the same."""
    plain = {plain_name(value) for value in set(values)}
    return plain <= set(_PART_OF) and len({_PART_OF[value] for value in plain}) > 1
