"""lightly's SimCLR as its documentation has it, for `peers.py`.

Images lie in memory as those of `torchvision.datasets.CIFAR10`, opened; the loader is
torch's own, and what is trained is the loop of lightly's example in plain PyTorch, on a
GPU where there is one. The network's memory is once as torch lays it by itself and once
channels-last; on a GPU it trains once more on views that are already there.
"""

import argparse
import contextlib

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

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class SimCLR(torch.nn.Module):
    def __init__(self, depth):
        super().__init__()
        resnet = getattr(torchvision.models, f"resnet{depth}")()
        dim = resnet.fc.in_features
        self.backbone = torch.nn.Sequential(*list(resnet.children())[:-1])
        self.projection_head = SimCLRProjectionHead(dim, dim, 128)

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


def training(arguments, memory_format, views_at_hand=False):
    """A function that trains on each image once; or as often on one batch's views."""
    generator = np.random.default_rng(0)
    shape = (arguments.batch * arguments.steps, arguments.size, arguments.size, 3)
    arrays = generator.integers(0, 256, shape).astype("uint8")
    loader = torch.utils.data.DataLoader(
        Images(arrays, SimCLRTransform(input_size=arguments.size)),
        batch_size=arguments.batch,
        shuffle=True,
        drop_last=True,
        num_workers=arguments.workers,
        persistent_workers=arguments.workers > 0,
        pin_memory=DEVICE == "cuda",
    )
    model = SimCLR(arguments.depth).to(DEVICE, memory_format=memory_format).train()
    criterion = NTXentLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.06, momentum=0.9)
    precision = contextlib.nullcontext()
    if arguments.dtype == "bfloat16":
        precision = torch.autocast(DEVICE, torch.bfloat16)

    def moved(views):
        return [
            view.to(DEVICE, memory_format=memory_format, non_blocking=True)
            for view in views
        ]

    def train_on(views):
        with precision:
            loss = criterion(*(model(view) for view in views))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    if views_at_hand:
        at_hand = moved(next(iter(loader))[0])

    def train():
        if views_at_hand:
            for _ in range(arguments.steps):
                train_on(at_hand)
        else:
            for views, _ in loader:
                train_on(moved(views))
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return train


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("--batch", "--steps", "--size", "--depth", "--workers"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--ending", default="", help="of the sides' names")
    arguments = parser.parse_args()
    sides = {
        "lightly": training(arguments, torch.contiguous_format),
        "lightly, channels-last": training(arguments, torch.channels_last),
    }
    if DEVICE == "cuda":
        sides["lightly, channels-last, views at hand"] = training(
            arguments, torch.channels_last, views_at_hand=True
        )
    serve({name + arguments.ending: side for name, side in sides.items()})


if __name__ == "__main__":
    main()
