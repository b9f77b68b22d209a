"""FixMatch in plain PyTorch, as one would write it by hand, for `consistency_peers.py`.

The network of `backbones.SmallResNet`, and augmentations of whole batches with
torch's operations alone: each image has its own draws, and each operation is computed
for those images alone that drew it.
"""

import copy
import math

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(filters)
        self.shortcut = None
        if stride > 1 or inputs != filters:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, filters, 1, stride, bias=False),
                nn.BatchNorm2d(filters),
            )

    def forward(self, x):
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        y += x if self.shortcut is None else self.shortcut(x)
        return functional.relu(y, inplace=True)


class Network(nn.Module):
    def __init__(self, widths=(16, 32, 64), classes=10, stem_stride=2):
        super().__init__()
        first = widths[0]
        self.stem = nn.Sequential(
            nn.Conv2d(1, first, 3, stem_stride, 1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
        )
        before = (first, *widths)
        self.blocks = nn.Sequential(
            *(
                Block(inputs, filters, 1 if stage == 0 else 2)
                for stage, (inputs, filters) in enumerate(
                    zip(before, widths, strict=False)
                )
            )
        )
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean(dim=(2, 3)))


def moved(images, matrix):
    """Images through affine maps `(B, 2, 3)`."""
    grid = functional.affine_grid(matrix, images.shape, align_corners=False)
    return functional.grid_sample(
        images, grid, padding_mode="border", align_corners=False
    )


def maps(count):
    """Affine maps that change nothing."""
    return torch.eye(2, 3).repeat(count, 1, 1)


def weak(images):
    """Mirrored half of the time, and moved by up to an eighth."""
    matrix = maps(len(images))
    matrix[:, 0, 0] = torch.where(torch.rand(len(images)) < 0.5, -1.0, 1.0)
    matrix[:, :, 2] = (torch.rand(len(images), 2) - 0.5) / 2
    return moved(images, matrix)


def strength(images, most):
    sign = torch.where(torch.rand(len(images)) < 0.5, -1.0, 1.0)
    return most * torch.rand(len(images)) * sign


def factor(images):
    return (0.05 + 0.9 * torch.rand(len(images)))[:, None, None, None]


def rotate(images):
    angle, matrix = strength(images, math.radians(30)), maps(len(images))
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
    matrix[:, 1, 0] = angle.sin()
    matrix[:, 0, 1] = -angle.sin()
    return moved(images, matrix)


def slanted(row, column, most):
    def change(images):
        matrix = maps(len(images))
        matrix[:, row, column] = strength(images, most)
        return moved(images, matrix)

    return change


def autocontrast(images):
    low, high = images.amin((1, 2, 3), True), images.amax((1, 2, 3), True)
    return torch.where(high > low, (images - low) / (high - low), images)


def equalize(images):
    levels = (images.flatten(1) * 255).round().long()
    counts = torch.zeros(len(images), 256).scatter_add_(
        1, levels, torch.ones_like(levels, dtype=torch.float32)
    )
    below = counts.cumsum(1) - counts
    table = below / below[:, -1:].clamp_min(1)
    return table.gather(1, levels).reshape(images.shape)


def sharpness(images):
    kernel = torch.ones(1, 1, 3, 3)
    kernel[0, 0, 1, 1] = 5
    soft = images.clone()
    soft[:, :, 1:-1, 1:-1] = functional.conv2d(images, kernel / 13)
    return torch.lerp(soft, images, factor(images))


def contrast(images):
    return torch.lerp(images.mean((1, 2, 3), True), images, factor(images))


def posterize(images):
    steps = 2.0 ** torch.randint(4, 9, (len(images), 1, 1, 1))
    return (images * 255 / 256 * steps).floor() / steps


def solarize(images):
    threshold = torch.rand(len(images), 1, 1, 1)
    return torch.where(images >= threshold, 1 - images, images)


# Of grey images: what FixMatch's table 12 does to colours leaves them as they are.
OPERATIONS = (
    lambda images: images,
    lambda images: images,
    autocontrast,
    equalize,
    lambda images: images * factor(images),
    contrast,
    sharpness,
    posterize,
    solarize,
    rotate,
    slanted(0, 1, 0.3),
    slanted(1, 0, 0.3),
    slanted(0, 2, 0.6),
    slanted(1, 2, 0.6),
)


def strong(images):
    """Two operations on each image, and a square of half a side cut out."""
    images = weak(images)
    for _ in range(2):
        drawn = torch.randint(len(OPERATIONS), (len(images),))
        for number, operation in enumerate(OPERATIONS):
            which = (drawn == number).nonzero()[:, 0]
            if len(which):
                images[which] = operation(images[which])
    size = images.shape[-1]
    corner = torch.randint(size, (2, len(images), 1)) - size // 4
    pixel = torch.arange(size)
    rows, columns = ((pixel >= c) & (pixel < c + size // 2) for c in corner)
    cut = (rows[:, :, None] & columns[:, None])[:, None]
    return images.masked_fill(cut, 0.5)


class FixMatch:
    """One network, its optimiser, and the average of its weights."""

    def __init__(self):
        self.network = Network().to(memory_format=torch.channels_last).train()
        self.average = copy.deepcopy(self.network)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=0.03,
            momentum=0.9,
            nesterov=True,
            weight_decay=5e-4,
        )

    def step(self, images, labels, unlabelled):
        """Trains on uint8 images `(B, 1, h, w)`, labels and images without."""
        with torch.no_grad():
            unlabelled = unlabelled.float() / 255
            views = torch.cat(
                [weak(images.float() / 255), weak(unlabelled), strong(unlabelled)]
            ).contiguous(memory_format=torch.channels_last)
        counts = len(images), len(unlabelled), len(unlabelled)
        labelled, seen, taught = self.network(views).split(counts)
        share, target = seen.detach().softmax(dim=1).max(dim=1)
        each = functional.cross_entropy(taught, target, reduction="none")
        loss = functional.cross_entropy(labelled, labels)
        loss = loss + (each * (share >= 0.95)).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            own, other = (
                [
                    *network.parameters(),
                    *(each for each in network.buffers() if each.is_floating_point()),
                ]
                for network in (self.average, self.network)
            )
            torch._foreach_lerp_(own, other, 0.001)

    def fit(self, images, labels, unlabelled, sizes):
        """An epoch over the unlabelled images, in a random order."""
        order = torch.randperm(len(unlabelled)).split(sizes[1])
        for which in order:
            few = torch.randint(len(images), (sizes[0],))
            self.step(images[few], labels[few], unlabelled[which])
