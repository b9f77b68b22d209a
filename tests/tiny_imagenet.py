"""A stand-in for ImageNet in TensorFlow Datasets: its name, features and folders."""

import numpy as np

# As ImageNet calls its classes.
WORDNET_IDS = ("n01440764", "n01443537", "n01484850")


def store_tiny_imagenet(folder, file_format=None, name="imagenet2012"):
    """Writes a prepared data set: JPEG pictures of three colours, and of any size.

    Args:
        folder: the `data_dir`.
        file_format: as `store_as_tfds_dataset` takes it.
        name: of the data set.

    Returns:
        Names of the files of its train split, as they are in it.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def examples(count):
        generator = np.random.default_rng(count)
        for index in range(count):
            label = index % len(WORDNET_IDS)
            pixels = generator.integers(0, 80, (18 + index % 5, 20, 3), "uint8")
            pixels[..., label] += 150
            file = f"{WORDNET_IDS[label]}_{index}.JPEG"
            yield {"image": pixels, "label": label, "file_name": file}

    signature = {
        "image": tf.TensorSpec((None, None, 3), "uint8"),
        "label": tf.TensorSpec((), "int64"),
        "file_name": tf.TensorSpec((), "string"),
    }
    image = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="5.1.0",
        features=tfds.features.FeaturesDict(
            {
                "image": image,
                "label": tfds.features.ClassLabel(names=WORDNET_IDS),
                "file_name": tfds.features.Text(),
            }
        ),
        split_datasets={
            split: tf.data.Dataset.from_generator(
                lambda count=count: examples(count),
                output_signature=signature,
            )
            for split, count in (("train", 60), ("validation", 9))
        },
        data_dir=str(folder),
        file_format=file_format,
    )
    return [example["file_name"] for example in examples(60)]
