"""What reads labels from pictures: the reader of a flow-csvae, and readers of other makes beside it.

What one reader does not see in an edit another may: a decoder that is held by all of them moves labels less
for a classifier that is none of them (docs/trials.md, rows 60 and 67).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.disturbing import disturbed, softened


class Reader(nn.Module):
    """Reads labels from pictures; its features say what of a picture matters to the labels.

    Its first convolutions overlap and step by two, so that no place of a pixel within a block is special.
    With batch-norm one that is taught for a minute sees 0.96 of glasses, without 0.91 (docs/trials.md, row
    67); wherever it only looks it is to be in eval mode.
    """

    def __init__(self, shape: Sequence[int], labels: int) -> None:
        super().__init__()
        channels, *sides = shape
        height, width = (-(-side // 16) for side in sides)
        self.fine = nn.Sequential(*_normalised(channels, 32, 2))
        self.middle = nn.Sequential(*_normalised(32, 64, 2), *_normalised(64, 64, 1))
        self.coarse = nn.Sequential(*_normalised(64, 128, 2), *_normalised(128, 128, 1))
        self.last = nn.Sequential(*_normalised(128, 192, 2))
        self.head = nn.Linear(192 * height * width, labels)
        self.coarse_features = 128 * (-(-sides[0] // 8)) * (-(-sides[1] // 8))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at a half, a quarter and an eighth of the size."""
        fine = self.fine(2 * x - 1)
        middle = self.middle(fine)
        return fine, middle, self.coarse(middle)

    def logits(self, x: Tensor) -> Tensor:
        """What it reads, N×k."""
        logits: Tensor = self.head(self.last(self(x)[-1]).flatten(1))
        return logits


class Plain(nn.Module):
    """The reader without its normalisation."""

    def __init__(self, shape: Sequence[int], labels: int) -> None:
        super().__init__()
        channels, height, width = shape
        layers: list[nn.Module] = []
        widths = ((channels, 32, 2), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 192, 2))
        for inputs, outputs, stride in widths:
            layers += [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.SiLU()]
        head = nn.Linear(192 * -(-height // 16) * -(-width // 16), labels)
        self.layers = nn.Sequential(*layers, nn.Flatten(), head)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(2 * x - 1)
        return logits


class Residual(nn.Module):
    """Three residual blocks, and the mean over places."""

    def __init__(self, shape: Sequence[int], labels: int) -> None:
        super().__init__()
        first = [nn.Conv2d(shape[0], 32, 5, 2, 2, bias=False), nn.BatchNorm2d(32), nn.ReLU()]
        self.blocks = nn.Sequential(*first, _Block(32, 64), _Block(64, 128), _Block(128, 192))
        self.head = nn.Linear(192, labels)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(2 * x - 1).mean((2, 3)))
        return logits


class Pooling(nn.Module):
    """Convolutions of the whole size and maxima (Simonyan and Zisserman 2015)."""

    def __init__(self, shape: Sequence[int], labels: int) -> None:
        super().__init__()
        channels, height, width = shape
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((channels, 24, 64, 128, 192)):
            layers += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2)]
        head = nn.Linear(192 * (height // 16) * (width // 16), labels)
        self.layers = nn.Sequential(*layers, nn.Flatten(), head)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(2 * x - 1)
        return logits


class _Block(nn.Module):
    """A residual block at half the size (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.way = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.short = nn.Conv2d(inputs, outputs, 1, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.way(x) + self.short(x))


@dataclass(frozen=True)
class Make:
    """network: of a shape (C, H, W) and so many labels, pictures -> logits N×k.

    change: what is done to the pictures that it learns from.
    """

    network: Callable[[Sequence[int], int], nn.Module]
    change: Callable[[Tensor, torch.Generator | None], Tensor]


MAKES: Mapping[str, Make] = {
    "blurred": Make(Plain, softened),
    "disturbed": Make(Plain, disturbed),
    "residual": Make(Residual, lambda x, _: x),
    "pooling": Make(Pooling, disturbed),
}
"""Readers unlike `Reader`, by name."""


def read_by_shares(readers: Sequence[nn.Module], pictures: Tensor, each: int) -> Tensor:
    """What readers see in so many pictures of each person: logits each×N×k, of each·N×C×H×W.

    Every reader looks at its share of the people, and at all pictures of these, so that what differs between
    two of them is no difference between readers.
    """
    shares = pictures.unflatten(0, (each, -1)).tensor_split(len(readers), 1)
    read = []
    for reader, people in zip(readers, shares, strict=True):
        shown = people.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        logits: Tensor = reader.logits(shown) if isinstance(reader, Reader) else reader(shown)
        read.append(logits.float().unflatten(0, people.shape[:2]))
    return torch.cat(read, 1)


def _normalised(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.SiLU()]
