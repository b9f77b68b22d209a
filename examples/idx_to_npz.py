"""Converts a data set in MNIST's IDX files to the npz that `semppl train` takes.

    apt-get install dataset-fashion-mnist
    python examples/idx_to_npz.py \
        "$(dirname "$(dpkg -L dataset-fashion-mnist | grep idx3 | head -n 1)")" \
        fashion_mnist.npz
    semppl train --dataset npz:fashion_mnist.npz
"""

import argparse
import gzip
import pathlib

import numpy as np

FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


def read_idx(path):
    """The array of bytes in an IDX file, gzipped or not."""
    content = pathlib.Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    # Two zeros, the type (8 for unsigned bytes), the rank, then the sizes.
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes.")
    rank = content[3]
    shape = np.frombuffer(content, ">u4", rank, offset=4)
    return np.frombuffer(content, "uint8", offset=4 + 4 * rank).reshape(shape)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="where the four files are")
    parser.add_argument("out", type=pathlib.Path, help="the npz file to write")
    arguments = parser.parse_args()
    arrays = {}
    for name, stem in FILES.items():
        found = [arguments.folder / (stem + end) for end in (".gz", "")]
        path = next((path for path in found if path.exists()), None)
        if path is None:
            parser.error(f"there is no {stem}[.gz] in {arguments.folder}")
        arrays[name] = read_idx(path)
    np.savez_compressed(arguments.out, **arrays)
    print({name: array.shape for name, array in arrays.items()})


if __name__ == "__main__":
    main()
