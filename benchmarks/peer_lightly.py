"""lightly's SimCLR as its documentation has it, for `peers.py`.

Images lie in memory as those of `torchvision.datasets.CIFAR10`, opened; the loader is
torch's own, and what is trained is the loop of lightly's example in plain PyTorch. The
network's memory is once as torch lays it by itself and once channels-last.
"""

import argparse

import numpy as np
import torch
from PIL import Image
from turns import serve


def provide_operators():
    """Names torchvision's compiled operators where a CPU's torch cannot load them.

    torchvision describes them when it is imported, and cannot where there are none.
    SimCLR calls none of them.
    """
    names = ("nms", "qnms")
    if any(hasattr(torch.ops.torchvision, name) for name in names):
        return None
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    else:
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in names:
        library.define(f"{name}() -> ()")
    return library


OPERATORS = provide_operators()

import torchvision  # noqa: E402
from lightly.loss import NTXentLoss  # noqa: E402
from lightly.models.modules import SimCLRProjectionHead  # noqa: E402
from lightly.transforms import SimCLRTransform  # noqa: E402


class SimCLR(torch.nn.Module):
    def __init__(self):
        super().__init__()
        resnet = torchvision.models.resnet18()
        self.backbone = torch.nn.Sequential(*list(resnet.children())[:-1])
        self.projection_head = SimCLRProjectionHead(512, 512, 128)

    def forward(self, x):
        return self.projection_head(self.backbone(x).flatten(start_dim=1))


class Images(torch.utils.data.Dataset):
    """Images in memory, of which each access gives two random views."""

    def __init__(self, arrays, transform):
        self.images = [Image.fromarray(array) for array in arrays]
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(self.images[index]), 0


def training(arguments, memory_format):
    """A function that trains on each image once."""
    generator = np.random.default_rng(0)
    shape = (arguments.batch * arguments.steps, arguments.size, arguments.size, 3)
    arrays = generator.integers(0, 256, shape).astype("uint8")
    loader = torch.utils.data.DataLoader(
        Images(arrays, SimCLRTransform(input_size=arguments.size)),
        batch_size=arguments.batch,
        shuffle=True,
        drop_last=True,
        num_workers=0,
    )
    model = SimCLR().to(memory_format=memory_format).train()
    criterion = NTXentLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.06, momentum=0.9)

    def train():
        for (first, second), _ in loader:
            embeddings = [
                model(view.to(memory_format=memory_format)) for view in (first, second)
            ]
            loss = criterion(*embeddings)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return train


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("--batch", "--steps", "--size"):
        parser.add_argument(name, type=int, required=True)
    arguments = parser.parse_args()
    formats = {
        "lightly": torch.contiguous_format,
        "lightly, channels-last": torch.channels_last,
    }
    serve({name: training(arguments, each) for name, each in formats.items()})


if __name__ == "__main__":
    main()
