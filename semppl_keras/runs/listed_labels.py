"""A data set of TensorFlow Datasets of which a list of files says what is labelled."""

import dataclasses

from semppl_keras.data.datasets.specs import divided
from semppl_keras.data.images.tfds_builders import open_builder
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.checks import given_without
from semppl_keras.runs.options.train import TrainOptions

# To test on, the first that there is: where there is this one, the labels of "test" are
# often secret.
_TEST_SPLITS = ("validation", "test")


def with_listed(options: TrainOptions) -> TrainOptions:
    """The options with a data set and a list as sources of a person's own images.

    They are read alike: image by image, of any size, where there are too many to be
    held, too.

    Args:
        options: Of a run; of one that goes on they stay, to be refused.

    Returns:
        The same where there is no list.

    Raises:
        RunError: The list is of another data set, or of none.
        ValueError, ImportError: There is no such data set.
    """
    if options.labelled_list is None or options.from_run is not None:
        return options
    if options.dataset is None:
        raise given_without("labelled_list", "dataset")
    kind, name = divided(options.dataset)
    taken = [one for one in ("unlabelled", "labelled") if getattr(options, one)]
    if kind != "tfds" or taken:
        raise RunError(
            "--labelled-list names images of --dataset tfds:NAME. Received: it with "
            f"--dataset {options.dataset}{' and --'.join(['', *taken])}. Write a table "
            "of path,label for --labelled in its place."
        )
    test = options.test
    if test is None:
        _, builder = open_builder(name)
        there = [split for split in _TEST_SPLITS if split in builder.info.splits]
        test = f"tfds:{name}#{there[0]}" if there else None
    return dataclasses.replace(
        options,
        dataset=None,
        labelled_list=None,
        unlabelled=f"tfds:{name}#train",
        labelled=f"tfds:{name}#train@{options.labelled_list}",
        test=test,
    )
