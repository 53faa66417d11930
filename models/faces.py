"""Two small networks for photos: one finds faces, one says how a face lies in its window.

Pictures are float N×3×H×W; which range each takes is said there.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

REACH = 62 / 74
"""How far the aligner sees from the middle of a crop, in units of half the crop's side.

In an aligned CelebA picture this circle lies inside the picture for scales up to 1.3 and any turn: the
aligner can never learn from where the picture ends.
"""

WINDOW = 64
"""Pixels along the aligner's window."""


class FaceFinder(nn.Module):
    """YuNet (Wu, Peng, Yu 2023; `yunet_n` of libfacedetection.train).

    Its levels step by 8, 16 and 32 pixels.
    """

    STEPS = (8, 16, 32)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, 2, 1)
        self.second = _Separable(16, 16)
        widths = (16, 32, 64, 64, 64, 64)
        self.stages = nn.ModuleList(
            nn.Sequential(_Separable(inputs, inputs), nn.ReLU(), _Separable(inputs, outputs), nn.ReLU())
            for inputs, outputs in pairwise(widths)
        )
        self.lateral = nn.ModuleList(_Separable(64, 64) for _ in self.STEPS)
        # Of every level: class, box, objectness; YuNet's five points are left out, they under-read the turn.
        self.kinds = nn.ModuleList(_Separable(64, 1) for _ in self.STEPS)
        self.boxes = nn.ModuleList(_Separable(64, 4) for _ in self.STEPS)
        self.there = nn.ModuleList(_Separable(64, 1) for _ in self.STEPS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores N×A in [0, 1], and boxes N×A×4 (middle x, y, width, height) in pixels.

        x: blue, green, red in [0, 255], H and W multiples of 32.
        """
        x = F.max_pool2d(F.relu(self.second(F.relu(self.first(x)))), 2)
        levels = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number >= 2:
                levels.append(x)
            if number in (1, 2, 3):
                x = F.max_pool2d(x, 2)
        coarse = F.relu(self.lateral[0](levels[2]))
        middle = F.relu(self.lateral[1](levels[1] + F.interpolate(coarse, scale_factor=2.0)))
        fine = F.relu(self.lateral[2](levels[0] + F.interpolate(middle, scale_factor=2.0)))
        scores, boxes = [], []
        for number, (step, level) in enumerate(zip(self.STEPS, (fine, middle, coarse), strict=True)):
            kind, there = self.kinds[number](level), self.there[number](level)
            scores.append((kind.sigmoid() * there.sigmoid()).sqrt().flatten(1))
            boxes.append(_boxes(self.boxes[number](level), step))
        return torch.cat(scores, 1), torch.cat(boxes, 1)


class Aligner(nn.Module):
    """How the aligned crop lies in a window of a photo: learnt from aligned pictures alone.

    A window sees the circle of radius `REACH` around the middle of a supposed crop. The answer is the
    similarity v -> (a + ib) v + x + iy from the true crop to the supposed one, in half sides of a crop.
    """

    inside: Tensor

    def __init__(self, channels: Sequence[int] = (32, 64, 64, 96, 96, 64)) -> None:
        super().__init__()
        one, two, three, four, five, six = channels
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, one, 3, 1, 1),
            nn.SiLU(),
            nn.Conv2d(one, two, 3, 2, 1),
            nn.SiLU(),
            nn.Conv2d(two, three, 3, 1, 1),
            nn.SiLU(),
            nn.Conv2d(three, four, 3, 2, 1),
            nn.SiLU(),
            nn.Conv2d(four, five, 3, 1, 1),
            nn.SiLU(),
            nn.Conv2d(five, six, 3, 2, 1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(six * (WINDOW // 16) ** 2, 128),
            nn.SiLU(),
        )
        self.head = nn.Linear(128, 4)
        self.register_buffer("inside", (window_grid().square().sum(-1) <= REACH**2).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(a, b, x, y), N×4. x: windows N×3×64×64, red, green, blue, in any one range."""
        weight = self.inside / self.inside.sum()
        mean = (x * weight).sum((1, 2, 3), keepdim=True) / 3
        x = (x - mean) * self.inside
        x = x / ((x.square() * weight).sum((1, 2, 3), keepdim=True) / 3).sqrt().clamp(min=1e-6)
        moved: Tensor = self.head(self.layers(x).float())
        return moved * 0.3 + torch.tensor([1.0, 0.0, 0.0, 0.0], device=moved.device)


def window_grid() -> Tensor:
    """Where the middles of a window's pixels lie, 64×64×2 (x, y), in half sides of the supposed crop."""
    edge = (torch.arange(WINDOW) + 0.5) / WINDOW * 2 * REACH - REACH
    down, across = torch.meshgrid(edge, edge, indexing="ij")
    return torch.stack([across, down], dim=-1)


class _Separable(nn.Sequential):
    """A 1×1 convolution, then a 3×3 one of each channel by itself."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 1), nn.Conv2d(outputs, outputs, 3, 1, 1, groups=outputs))


def _boxes(raw: Tensor, step: int) -> Tensor:
    """N×4×h×w offsets and log sizes in steps -> N×hw×4 (middle x, y, width, height) in pixels."""
    height, width = raw.shape[2:]
    down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cells = torch.stack([across, down]).to(raw)
    middle, size = raw[:, :2] + cells, raw[:, 2:].exp()
    return (torch.cat([middle, size], 1) * step).flatten(2).transpose(1, 2)
