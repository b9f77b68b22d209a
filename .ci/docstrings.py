"""What griffe, which reads docstrings for the site, is told of how they are written."""

import re

import griffe


class HouseStyle(griffe.Extension):
    """Examples, and arguments that share a line, as griffe reads them."""

    def on_object(self, *, obj, **others):
        del others
        if obj.docstring:
            obj.docstring.value = as_read(obj.docstring.value)


def as_read(text):
    """A docstring whose sections griffe finds.

    Args:
        text: the docstring, without its indentation.
    """
    # Under `Example:` it would take >>> for a quotation.
    text = re.sub(r"^Example:\n(?= +>>>)", "Examples:\n", text, flags=re.MULTILINE)
    # Names that go on in the next line are one entry.
    joined = None
    while joined != text:
        joined = text
        text = re.sub(
            r"^(    (?:\**\w+, )*\**\w+,)\n    (?=\**\w+[,:])", r"\1 ", text, flags=re.M
        )
    # `Returns, Raises:` says one thing of both.
    return re.sub(r"^Returns, Raises:\n", "Returns:\n", text, flags=re.MULTILINE)
