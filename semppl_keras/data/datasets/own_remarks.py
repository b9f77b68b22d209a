"""What is worth knowing about the labels of a person's own images, in sentences."""

import re
import unicodedata

import numpy as np

from semppl_keras.checks import listed
from semppl_keras.data.images.decoding import DecodedRows

_IMBALANCE = 10


def remarks_on_labels(
    labels: list[str],
    names: tuple[str, ...],
    digests: list[str],
    class_names: tuple[str, ...],
) -> list[str]:
    """On those of the labelled images.

    Args:
        labels: of the labelled images that can be read.
        names, digests: of all images, these first.
        class_names: of the classes.
    """
    remarks: list[str] = []
    counts = {name: labels.count(name) for name in class_names}
    single = [name for name, count in counts.items() if count == 1]
    if single:
        remarks.append(
            f"One labelled image alone of {listed(single)}: the first pseudo-labels "
            "hang on it, and nothing can be held out to measure the class."
        )
    most, least = (choose(counts, key=lambda one: counts[one]) for choose in (max, min))
    if counts[most] >= _IMBALANCE * counts[least]:
        remarks.append(
            f"The labels are far from balanced: {counts[most]:,} of {most!r}, "
            f"{counts[least]:,} of {least!r}. Every class counts alike all the same, "
            "but a few labels say little of one: label more of the rarest first."
        )
    plain: dict[str, list[str]] = {}
    for name in class_names:
        plain.setdefault(_alike(name), []).append(name)
    for alike in plain.values():
        if len(alike) > 1:
            remarks.append(
                "Labels that differ in spelling alone are different classes: "
                f"{listed(alike)} ({', '.join(f'{counts[name]:,}' for name in alike)} "
                "images). Where they are one, spell them alike."
            )
    seen: dict[str, tuple[str, str]] = {}
    for label, name, digest in zip(labels, names, digests, strict=False):
        first_label, first_name = seen.setdefault(digest, (label, name))
        if first_label != label:
            remarks.append(
                f"One image has two labels: {first_name!r} is {first_label!r}, and "
                f"{name!r}, the same pixels, {label!r}."
            )
    return remarks


def remarks_on_copies(train: DecodedRows, names: tuple[str, ...]) -> list[str]:
    """On unlabelled images that are left out as copies, of which `names` names all."""
    remarks = []
    if train.repeated:
        remarks.append(
            f"{len(train.repeated):,} of the unlabelled images are labelled ones, too: "
            "they count once, as labelled."
        )
    if train.duplicates:
        example = names[train.duplicates[0]]
        remarks.append(
            f"{len(train.duplicates):,} of the unlabelled images are copies of others, "
            f"the very same pixels, such as {example!r}: each counts once, since "
            "training would push it away from itself."
        )
    return remarks


def remarks_on_leaks(
    names: list[str], digests: list[str], train_digests: list[str], num_labelled: int
) -> list[str]:
    """On test images that are trained on, too.

    Args:
        names, digests: of the test images.
        train_digests: of those to train on, the labelled ones first.
        num_labelled: how many these are.
    """
    labelled, unlabelled = (
        set(train_digests[:num_labelled]),
        set(train_digests[num_labelled:]),
    )
    remarks = []
    for among, what, why in (
        (labelled, "labelled", "what was learned by heart counts as known"),
        (unlabelled, "unlabelled", "the network has seen them, without their labels"),
    ):
        copies = [
            name for name, digest in zip(names, digests, strict=True) if digest in among
        ]
        if copies:
            remarks.append(
                f"Leakage: {len(copies):,} of {len(names):,} test images are among the "
                f"{what} ones, too ({listed(copies)}): {why}."
            )
    return remarks


def remarks_on_test(
    texts: list[str], known: np.ndarray, class_names: tuple[str, ...]
) -> list[str]:
    """On the labels of test images: `texts`, of which some are `known` as classes."""
    remarks = []
    strange = sorted(
        {text for text, is_known in zip(texts, known, strict=True) if not is_known}
    )
    if strange:
        remarks.append(
            f"{np.sum(~known):,} test images are left out: no labelled image is one of "
            f"{listed(strange)}.{_spelled_otherwise(strange, class_names)}"
        )
    untested = [name for name in class_names if name not in set(texts)]
    if untested:
        remarks.append(f"There is no test image of {listed(untested)}.")
    return remarks


def _alike(name: str) -> str:
    """A label without what is spelled in several ways, or is not to be seen."""
    plain = unicodedata.normalize("NFKC", name.casefold())
    plain = "".join(one for one in plain if unicodedata.category(one) != "Cf")
    # Not at the end, where there are signs: CD4+ and CD4-.
    plain = re.sub(r"(?<=[^\W_])[\s_-]+(?=[^\W_])", " ", plain).strip()
    return re.sub(r"(?<![\d.])0+(?=\d)", "", plain)


def _spelled_otherwise(names: list[str], class_names: tuple[str, ...]) -> str:
    """A sentence about those that are classes in another spelling."""
    classes = {_alike(name): name for name in class_names}
    others = [name for name in names if _alike(name) in classes]
    if not others:
        return ""
    meant = [classes[_alike(name)] for name in others]
    return f" Spell {listed(others)} as the labelled ones: {listed(meant)}."
