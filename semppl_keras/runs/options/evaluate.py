"""What `semppl_keras.runs.evaluate` may be asked for."""

import dataclasses
from typing import Any

from semppl_keras.evaluation.corruption_names import CORRUPTIONS, SEVERITIES
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.checks import (
    checked,
    dataset,
    flag,
    given_without,
    integer,
    labels_or_share,
    option,
    output,
    path,
    paths,
    texts,
)
from semppl_keras.runs.options.table_fields import TableFields


def _severities(name: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"`{name}` must be a list of integers. Received: {value!r}.")
    chosen = {integer(0)(name, one) for one in value}
    if not chosen or not chosen <= set(SEVERITIES):
        given = ",".join(map(str, value))
        raise RunError(
            f"{option(name)} must be integers from {min(SEVERITIES)} to "
            f"{max(SEVERITIES)}. Received: {given!r}."
        )
    return tuple(sorted(chosen))


def _corruptions(name: str, value: Any) -> tuple[str, ...]:
    chosen = texts(name, value)
    unknown = sorted(set(chosen) - set(CORRUPTIONS))
    if unknown or not chosen:
        raise RunError(
            f"{option(name)} must be out of {', '.join(CORRUPTIONS)}. Received: "
            f"{', '.join(unknown) or 'none'}."
        )
    return chosen


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateOptions(TableFields):
    """The keywords of `semppl_keras.runs.evaluate`."""

    runs: tuple[str, ...] = checked(paths)
    data: str | None = checked(dataset, None)
    test: str | None = checked(path, None)
    same_classes: bool = checked(flag, False)
    labels_per_class: int | str | None = checked(labels_or_share, None)
    fine_tune: bool = checked(flag, False)
    from_layer: int | None = checked(integer(0), None)
    robustness: bool = checked(flag, False)
    severities: tuple[int, ...] | None = checked(_severities, None)
    corruptions: tuple[str, ...] | None = checked(_corruptions, None)
    out: str | None = checked(output, None)
    classifier: str | None = checked(path, None)
    seed: int | None = checked(integer(0), None)
    photos: str | None = checked(path, None)
    trust: bool = checked(flag, False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("severities", "corruptions"):
            if getattr(self, name) is not None and not self.robustness:
                raise given_without(name, "robustness")
        if self.from_layer is not None and not self.fine_tune:
            raise RunError(
                "--from-layer is for --fine-tune. Received: --from-layer "
                f"{self.from_layer} without it. Add --fine-tune."
            )
        if self.test is None:
            for name in self.given_tables():
                raise given_without(name, "test")
        else:
            self._check_test_alone(self.test)
        if self.same_classes and self.data is None:
            raise RunError(
                "--same-classes is for another data set. Received: --same-classes "
                "without --data. Name the data set with --data."
            )
        if self.same_classes and self.labels_per_class is not None:
            raise RunError(
                "--same-classes tests with the labels of the run. Received: "
                f"--labels-per-class {self.labels_per_class} with it. Leave one of the "
                "two out."
            )

    def _check_test_alone(self, test: str) -> None:
        self.check_tables_named([test])
        # Each says what else to test on, or with which other labels.
        for name, given in (
            ("data", self.data is not None),
            ("same_classes", self.same_classes),
            ("labels_per_class", self.labels_per_class is not None),
        ):
            if given:
                raise RunError(
                    "--test tests what the run has learned from its own labels on your "
                    f"own images. Received: {option(name)} with it. Leave one of the "
                    "two out."
                )
