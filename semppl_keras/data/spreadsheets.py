"""Cells of tables that a spreadsheet shows, and does not evaluate."""

# What a formula begins with, or what some programs pass over before it. With the
# apostrophe among them, what is written can be told from what was there.
EVALUATED = "=+-@\t\r\n'"


def inert(text):
    """A cell that is shown as it is: with an apostrophe before what is evaluated.

    Args:
        text: str.

    Returns:
        str, of which `content_of` makes the text again.

    Example:
        >>> inert("=1+1")
        "'=1+1"
    """
    return f"'{text}" if text.startswith(tuple(EVALUATED)) else text


def content_of(cell):
    """The text of which `inert` has made a cell; other texts as they are."""
    quoted = cell.startswith("'") and cell[1:].startswith(tuple(EVALUATED))
    return cell[1:] if quoted else cell


def inert_path(path):
    """A relative path that is shown as it is, and leads to the same file for every
    program: with "./" before what is evaluated."""
    return f"./{path}" if path.startswith(tuple(EVALUATED)) else path
