"""A person's own images: many without labels, a few with."""

import dataclasses

from semppl_keras.data.few_labels import FewLabels
from semppl_keras.data.images.decoding import Skipped


@dataclasses.dataclass(frozen=True, eq=False)
class OwnImages(FewLabels):
    """`FewLabels` from files, with what was found out about them.

    Args:
        train_names: tuple of str, for each training image its path or place.
        test_names: tuple of str, for each test image the same.
        skipped: tuple of `Skipped`, the images that could not be read.
        digest: str, which differs where another image, or another order, is trained on.
        given_labels: tuple of (name, label), of all that were named as labelled,
            whether they can be read or not.
        given_names: tuple of str, the same of the unlabelled ones.
        given_test: tuple of (name, label), the same of those to test on.
    """

    train_names: tuple[str, ...] = ()
    test_names: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    digest: str = ""
    given_labels: tuple[tuple[str, str], ...] = ()
    given_names: tuple[str, ...] = ()
    given_test: tuple[tuple[str, str], ...] = ()
