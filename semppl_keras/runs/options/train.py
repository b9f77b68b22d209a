"""What `semppl_keras.runs.train` may be asked for."""

import dataclasses
from typing import Any

from semppl_keras.data.defaults import CACHES, FITS
from semppl_keras.recipes.defaults import RECIPE_NAMES
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.checks import (
    BALANCES,
    TRACKERS,
    backbone,
    check_not_both,
    checked,
    dataset,
    flag,
    given_without,
    integer,
    labels_per_class,
    megapixels,
    one_of,
    output,
    path,
    positive,
    share,
    value_range,
)
from semppl_keras.runs.options.table_fields import TableFields

# Of a person's own images all labels are used.
OWN_LABELS_PER_CLASS = "all"
SEED = 0


def _resumed(name: str, value: Any) -> bool | str:
    return value if isinstance(value, bool) else path(name, value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainOptions(TableFields):
    """The keywords of `semppl_keras.runs.train`."""

    dataset: str | None = checked(dataset, None)
    labelled_list: str | None = checked(path, None)
    unlabelled: str | None = checked(path, None)
    labelled: str | None = checked(path, None)
    test: str | None = checked(path, None)
    image_size: int | None = checked(integer(8), None)
    fit: str | None = checked(one_of(FITS), None)
    value_range: tuple[float, float] | None = checked(value_range, None)
    recipe: str | None = checked(one_of(RECIPE_NAMES), None)
    backbone: str | None = checked(backbone, None)
    max_skipped: float | None = checked(share, None)
    max_megapixels: float | None = checked(megapixels, None)
    cache: str | None = checked(one_of(CACHES), None)
    labels_per_class: int | str | None = checked(labels_per_class, None)
    epochs: int | None = checked(integer(0), None)
    minutes: float | None = checked(positive, None)
    batch_size: int | None = checked(integer(2), None)
    learning_rate: float | None = checked(positive, None)
    seed: int | None = checked(integer(0), None)
    strangers: bool | None = checked(flag, None)
    balance: str | None = checked(one_of(BALANCES), None)
    out: str | None = checked(output, None)
    checkpoint_minutes: float | None = checked(positive, None)
    log: str | None = checked(one_of(TRACKERS), None)
    # True for `out`, or the folder of a run.
    resume: bool | str | None = checked(_resumed, None)
    from_run: str | None = checked(path, None)
    photos: str | None = checked(path, None)
    trust: bool = checked(flag, False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_both(self, "epochs", "minutes")
        check_not_both(self, "recipe", "backbone", "which network is trained")
        check_not_both(
            self, "labelled_list", "labels_per_class", "which images are labelled"
        )
        if self.photos is not None and not (self.resume or self.from_run):
            raise RunError(
                "--photos says where the images of an earlier run are now. Received: "
                "it without --resume or --from. Name the images of a new run with "
                "--unlabelled and --labelled."
            )
        if self.from_run is None:
            return
        if self.resume:
            raise RunError(
                "--resume goes on with an interrupted run in its own folder, --from "
                "with a finished one in another. Received: both. Leave one of the two "
                "out."
            )
        if self.out is None:
            raise given_without("from_run", "out")
