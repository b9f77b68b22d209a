"""Data sets of TensorFlow Datasets, which need TensorFlow on every backend."""


def open_builder(name, data_dir=None):
    """A prepared data set of images with labels.

    Args:
        name: str, for example `"fashion_mnist"` or `"cifar10:3.0.2"`.
        data_dir: folder of the prepared data sets, None for that of TensorFlow
            Datasets. What is not there is downloaded.

    Returns:
        The module `tensorflow_datasets`, and the builder.

    Raises:
        ImportError: if `tensorflow-datasets` is not installed.
        ValueError: if there is no such data set, or it lacks images or labels.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"Loading {name!r} needs the packages tensorflow-datasets, tensorflow and "
            "importlib_resources. Received: an installation without one of them "
            f"({error}). Install them with pip install 'semppl_keras[tfds,tensorflow]'."
        ) from error

    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.registered.DatasetNotFoundError, ValueError) as error:
        summary = str(error).strip().splitlines()[0]
        raise ValueError(
            "`name` must be a data set of TensorFlow Datasets (their list: "
            f"https://www.tensorflow.org/datasets/catalog). Received: name={name!r}, "
            f"data_dir={data_dir!r}; {summary}"
        ) from error
    features = builder.info.features
    keys = sorted(features) if hasattr(features, "keys") else []
    for key in ("image", "label"):
        if key not in keys:
            raise ValueError(
                f"The data set {name!r} must have the features 'image' and 'label'. "
                f"Received: {', '.join(keys) or features}. Convert it to an .npz file "
                "and load that with `load_npz`."
            )
    builder.download_and_prepare()
    return tfds, builder


def check_split(builder, split, advice=""):
    """Raises a ValueError where a data set has no such split, or slice of one."""
    available = sorted(builder.info.splits)
    # A slice such as "train[:80%]" starts with the name of its split.
    if split.split("[")[0] not in available:
        raise ValueError(
            f"The data set {builder.info.name!r} must have the split {split!r}. "
            f"Received one with: {', '.join(available)}.{advice}"
        )
