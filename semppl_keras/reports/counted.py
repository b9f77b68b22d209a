"""Numbers with what they count."""


def counted(number: int, one: str, many: str) -> str:
    """A number with what is counted.

    Args:
        number: At least 0.
        one: Words for a single one, such as "image is".
        many: Words for another number.

    Example:
        >>> counted(1200, "image is", "images are")
        '1,200 images are'
    """
    return f"{number:,} {one if number == 1 else many}"
