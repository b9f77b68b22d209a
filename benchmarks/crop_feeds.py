"""Random crops of JPEG files by three pipelines, for benchmarks/input.py --crops.

Each draws a crop of 8 to 100% of the image, its sides 3:4 to 4:3, and brings it to a
square: this package's `decode_crop` in threads that read ahead; plain tf.data, which
decodes whole images, or what it can of the crop alone; and torchvision's transforms of
what Pillow has decoded whole, fed by a torch `DataLoader`.
"""

import collections
import concurrent.futures
import importlib.util
import itertools
import sys
import types

import numpy as np

from semppl_keras.data import decode_crop

AREA, ASPECT_RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
# Batches that are read ahead of the one that is made use of.
AHEAD = 3


def ours(paths, size, batch, workers):
    """Batches of `decode_crop`."""

    def decode(number):
        generator = np.random.default_rng([0, number])
        return decode_crop(
            paths[number], generator, size, area=AREA, aspect_ratio=ASPECT_RATIO
        )

    starts = iter(range(0, len(paths), batch))
    waiting = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        while True:
            for start in itertools.islice(starts, AHEAD + 1 - len(waiting)):
                numbers = range(start, min(start + batch, len(paths)))
                waiting.append([pool.submit(decode, number) for number in numbers])
            if not waiting:
                return
            yield np.stack([future.result() for future in waiting.popleft()])


def of_tf_data(paths, size, batch, workers, part_alone=False):
    """Batches of plain tf.data."""
    import tensorflow as tf

    def decode(path):
        content = tf.io.read_file(path)
        begin, extent, _ = tf.image.sample_distorted_bounding_box(
            tf.io.extract_jpeg_shape(content),
            tf.zeros((1, 0, 4)),
            area_range=AREA,
            aspect_ratio_range=ASPECT_RATIO,
            use_image_if_no_bounding_boxes=True,
        )
        if part_alone:
            window = tf.concat([begin[:2], extent[:2]], 0)
            image = tf.io.decode_and_crop_jpeg(content, window, channels=3)
        else:
            image = tf.slice(tf.io.decode_jpeg(content, channels=3), begin, extent)
        image = tf.image.resize(image, (size, size), antialias=True)
        return tf.cast(tf.round(image), "uint8")

    data = tf.data.Dataset.from_tensor_slices(list(map(str, paths)))
    data = data.map(decode, num_parallel_calls=workers).batch(batch).prefetch(AHEAD)
    options = tf.data.Options()
    options.threading.private_threadpool_size = workers
    return data.with_options(options).as_numpy_iterator()


class Pictures:
    """What a torch `DataLoader` takes: as torchvision's own folders of images do it."""

    def __init__(self, paths, size):
        transforms = torchvision_transforms()
        self._paths = paths
        self._crop = transforms.Compose(
            [
                transforms.RandomResizedCrop(size, AREA, ASPECT_RATIO),
                transforms.PILToTensor(),
            ]
        )

    def __len__(self):
        return len(self._paths)

    def __getitem__(self, number):
        from PIL import Image

        with Image.open(self._paths[number]) as image:
            return self._crop(image.convert("RGB"))


def of_torchvision(paths, size, batch, workers):
    """Batches of a `DataLoader`; without workers they are made where they are used."""
    import torch

    return torch.utils.data.DataLoader(
        Pictures(paths, size), batch, num_workers=workers
    )


def torchvision_transforms():
    """torchvision's transforms, which need none of its compiled operators.

    Beside a torch that those were not built for, the import fails as it registers them.
    """
    try:
        from torchvision import transforms
    except RuntimeError:
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        for name in ("_meta_registrations", "_autograd_registrations"):
            sys.modules[f"torchvision.{name}"] = types.ModuleType(name)
        from torchvision import transforms
    return transforms


def feeds():
    """By name, functions of (paths, size, batch, workers) to batches; None of what is
    not installed."""
    torchvision = all(map(importlib.util.find_spec, ("torch", "torchvision")))
    return {
        "semppl_keras": ours,
        "tf.data, decode_jpeg": of_tf_data,
        "tf.data, decode_and_crop_jpeg": lambda *of: of_tf_data(*of, part_alone=True),
        "torchvision": of_torchvision if torchvision else None,
    }
