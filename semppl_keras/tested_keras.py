"""Which versions of Keras the package was tested with, told where it is a newer one.

The trainers build on public hooks of Keras' own trainers, of which a minor version may
change what they do without an error.
"""

import re
import types
import warnings

# The oldest that the package can be installed with, and the newest that its tests ran
# on: without the last number, which stands for repairs.
OLDEST = (3, 13)
NEWEST = (3, 15)
RANGE = (OLDEST, NEWEST)


def version_text(version: tuple[int, ...]) -> str:
    """A version as it is written, such as "3.15"."""
    return ".".join(map(str, version))


def is_newer_than_tested(version: str) -> bool:
    """Whether a version of Keras is a newer one than `NEWEST`, repairs apart.

    Args:
        version: As Keras tells it, such as "3.16.0".
    """
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    return numbers > NEWEST


def warn_of_newer_keras(keras: types.ModuleType) -> None:
    """Warns where the Keras that was imported is newer than what was tested.

    Args:
        keras: The module.
    """
    if not is_newer_than_tested(keras.__version__):
        return
    warnings.warn(
        f"This version of semppl_keras was tested with Keras {version_text(OLDEST)} "
        f"to {version_text(NEWEST)}, and Keras {keras.__version__} is newer. What it "
        "trains may differ without an error. Install the tested one: pip install "
        f"'keras<{NEWEST[0]}.{NEWEST[1] + 1}'; or a newer semppl_keras.",
        stacklevel=2,
    )
