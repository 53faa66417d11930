"""Encoders, decoders, and what reads codes or judges: the adversary, the critic and the classifier.

Four families, chosen by name: `paper` (the convolutions of Larsen et al. 2016 that Klys et al. build on),
`light` (for a laptop's CPU), `large` (for an hour or two of it) and `points` (small MLPs). An encoder is a
*trunk*, pictures -> features, and a *head*, (features, labels) -> the parameters of a Gaussian; labels enter
late, as one number each.

Pictures are float N×C×H×W in [0, 1], points float N×D.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers import Dense, Doubling, FromPicture, Rectified, ToPicture
from models.priors import label_log_odds

NetworkName = Literal["paper", "light", "large", "points"]


def trunk(network: NetworkName, shape: Sequence[int]) -> tuple[nn.Module, int]:
    """The part of an encoder that sees x, and the number of features it gives.

    shape: (C, H, W) of a picture or (D,) of a point.
    """
    if network == "points":
        return _mlp(shape[0], 128, 128), 128
    channels, height, width = shape
    if network == "paper":
        return _PaperTrunk(channels, height, width), 2048
    if network == "large":
        return _LargeTrunk(channels, height, width), 256 * (height // 16) * (width // 16)
    return _LightTrunk(channels, height, width), 256


def decoder(network: NetworkName, inputs: int, shape: Sequence[int]) -> nn.Module:
    """Codes N×inputs -> x of that shape. Unbounded: whoever makes pictures of it clamps to [0, 1]."""
    if network == "points":
        return nn.Sequential(_mlp(inputs, 128, 128), nn.Linear(128, shape[0]))
    channels, height, width = shape
    if network == "paper":
        return _PaperDecoder(inputs, channels, height, width)
    if network == "large":
        return _LargeDecoder(inputs, channels, height, width)
    return _LightDecoder(inputs, channels, height, width)


def gaussian_head(features: int, labels: int, dim: int) -> nn.Linear:
    """(features, labels) -> (mu, log_var), N×2·dim; log_var starts near −2."""
    head = nn.Linear(features + labels, 2 * dim)
    with torch.no_grad():
        head.weight[dim:] *= 0.1
        head.bias[dim:] = -2
    return head


def gaussian_heads(features: int, dim: int) -> tuple[nn.Linear, nn.Linear]:
    """The halves of a `gaussian_head` apart, mu and log_var: a finished model may do without the second."""
    head = gaussian_head(features, 0, dim)
    with torch.random.fork_rng(devices=[]):  # what they are filled with is no draw of anybody's
        mu, log_var = nn.Linear(features, dim), nn.Linear(features, dim)
    with torch.no_grad():
        for half, rows in ((mu, slice(dim)), (log_var, slice(dim, None))):
            half.weight.copy_(head.weight[rows])
            half.bias.copy_(head.bias[rows])
    return mu, log_var


class Adversary(nn.Module):
    """r(y|z): reads the labels from z; gives the logits N×k that it would have if both classes were as many.

    Each coordinate of z is first brought to unit variance over the batch, as any fresh probe would do, so
    that the encoder cannot hide from it by scale. `log_odds` (k) is what is known of the labels without z:
    it is added where the adversary is compared with the labels, and only there, so that an adversary that
    finds nothing in z says ½ whatever the classes' sizes, and the encoder gains nothing by misleading it.
    """

    log_odds: Tensor

    def __init__(self, latent_dim: int, labels: int) -> None:
        super().__init__()
        self.scale = nn.BatchNorm1d(latent_dim, eps=1e-8, affine=False)
        self.layers = nn.Sequential(_mlp(latent_dim, 512, 512), nn.Linear(512, labels))
        self.register_buffer("log_odds", torch.zeros(labels), persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        logits: Tensor = self.layers(self.scale(z))
        return logits

    def expect(self, y: Tensor) -> None:
        """Take the log-odds of each label from all training labels, M×k in {1, 0, −1}."""
        self.log_odds.copy_(label_log_odds(y))


class Critic(nn.Module):
    """Tells codes of pictures from codes of people who exchanged a style, by the code and the labels.

    forward(s, y): s whitened, N×dim; y `signed`, N×k; gives logits N, above 0 for a picture's.
    """

    def __init__(self, dim: int, labels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim + labels, 1)
        self.layers = nn.Sequential(_mlp(dim + labels, 256, 256), nn.Linear(256, 1))

    def forward(self, s: Tensor, y: Tensor) -> Tensor:
        seen = torch.cat([s, y], dim=1)
        logits: Tensor = (self.linear(seen) + self.layers(seen))[:, 0]
        return logits


class Classifier(nn.Module):
    """Reads labels from x: logits N×k, by the light trunk (or the points' MLP)."""

    def __init__(self, shape: Sequence[int], labels: int) -> None:
        super().__init__()
        self.trunk, features = trunk("points" if len(shape) == 1 else "light", shape)
        self.head = nn.Linear(features, labels)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(F.dropout(self.trunk(x), 0.3, self.training))
        return logits


def _mlp(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*layers)


class _PaperTrunk(nn.Module):
    """5×5 convolutions of stride 2, 64-128-256, dense 2048, with batch-norm and ReLU (Larsen et al. 2016)."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        _divisible(height, width, 8)
        layers: list[nn.Module] = []
        for kind, inputs, outputs in (
            (FromPicture, channels, 64),
            (nn.Conv2d, 64, 128),
            (nn.Conv2d, 128, 256),
        ):
            normalised = Rectified(outputs, flat=outputs == 256)
            # In the ReLU's place nothing: weights are called by their places, in runs of before, too.
            layers += [kind(inputs, outputs, 5, 2, 2, bias=False), normalised, nn.Identity()]
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            Dense(256 * (height // 8) * (width // 8), 2048), nn.BatchNorm1d(2048), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        dense: Dense = self.dense[0]  # type: ignore[assignment]
        lowered = dense.lowered(x)
        features: Tensor = self.dense[1:](dense.product(self.convolutions(x), lowered))
        return features


class _PaperDecoder(nn.Module):
    """Dense 8·8·256, 5×5 transposed convolutions 256-128-32, 5×5 to the picture (Larsen et al. 2016)."""

    def __init__(self, inputs: int, channels: int, height: int, width: int) -> None:
        super().__init__()
        _divisible(height, width, 8)
        self.grid = (256, height // 8, width // 8)
        cells = self.grid[0] * self.grid[1] * self.grid[2]
        self.dense = nn.Sequential(nn.Linear(inputs, cells, bias=False), nn.BatchNorm1d(cells), nn.ReLU())
        layers: list[nn.Module] = []
        for outer, inner in ((256, 256), (256, 128), (128, 32)):
            layers += [
                nn.ConvTranspose2d(outer, inner, 5, 2, 2, output_padding=1, bias=False),
                Rectified(inner),
                nn.Identity(),
            ]
        self.convolutions = nn.Sequential(*layers, ToPicture(32, channels, 5, 1, 2))

    def forward(self, code: Tensor) -> Tensor:
        x: Tensor = self.convolutions(_grid(self.dense(code), self.grid))
        return 0.5 * x + 0.5


class _LightTrunk(nn.Module):
    """Blocks of 4×4 pixels become channels at once: all convolutions run at a quarter of the size or less."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        _divisible(height, width, 16)
        self.convolutions = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(16 * channels, 64, 3, 1, 1),
            nn.SiLU(),
            nn.Conv2d(64, 128, 3, 2, 1),
            nn.SiLU(),
            nn.Conv2d(128, 192, 3, 2, 1),
            nn.Flatten(),  # before the activation, which is slow where its gradient lies otherwise than it
            nn.SiLU(),
        )
        self.dense = nn.Sequential(nn.Linear(192 * (height // 16) * (width // 16), 256), nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.dense(self.convolutions(2 * x - 1))
        return features


class _LightDecoder(nn.Module):
    """The light trunk the other way round."""

    def __init__(self, inputs: int, channels: int, height: int, width: int) -> None:
        super().__init__()
        _divisible(height, width, 16)
        self.grid = (192, height // 16, width // 16)
        self.dense = nn.Sequential(
            nn.Linear(inputs, 512),
            nn.SiLU(),
            nn.Linear(512, self.grid[0] * self.grid[1] * self.grid[2]),
            nn.SiLU(),
        )
        last = nn.Conv2d(64, 16 * channels, 3, 1, 1)
        _start_equal(last, 16)
        self.convolutions = nn.Sequential(
            Doubling(192, 128),
            nn.SiLU(),
            nn.Conv2d(128, 128, 3, 1, 1),
            nn.SiLU(),
            Doubling(128, 64),
            nn.SiLU(),
            last,
            nn.PixelShuffle(4),
        )

    def forward(self, code: Tensor) -> Tensor:
        x: Tensor = self.convolutions(_grid(self.dense(code), self.grid))
        return 0.5 * x + 0.5


class _Residual(nn.Module):
    """x + a 3×3 convolution of its activation, small at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, 1, 1)
        with torch.no_grad():
            self.convolution.weight.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        moved: Tensor = self.convolution(F.silu(x))
        return x + moved


class _LargeTrunk(nn.Module):
    """As the light trunk, wider, with a residual convolution at every size and nothing dense."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        _divisible(height, width, 16)
        self.convolutions = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(16 * channels, 96, 3, 1, 1),
            _Residual(96),
            nn.SiLU(),
            nn.Conv2d(96, 192, 3, 2, 1),
            _Residual(192),
            nn.SiLU(),
            nn.Conv2d(192, 256, 3, 2, 1),
            _Residual(256),
            nn.Flatten(),
            nn.SiLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.convolutions(2 * x - 1)
        return features


class _LargeDecoder(nn.Module):
    """The large trunk the other way round; its last convolution sees half the picture's size."""

    def __init__(self, inputs: int, channels: int, height: int, width: int) -> None:
        super().__init__()
        _divisible(height, width, 16)
        self.grid = (256, height // 16, width // 16)
        self.dense = nn.Linear(inputs, self.grid[0] * self.grid[1] * self.grid[2])
        halved, last = nn.Conv2d(128, 96, 3, 1, 1), nn.Conv2d(24, 4 * channels, 3, 1, 1)
        _start_equal(halved, 4)
        _start_equal(last, 4)
        self.convolutions = nn.Sequential(
            _Residual(256),
            nn.SiLU(),
            Doubling(256, 192),
            _Residual(192),
            _Residual(192),
            nn.SiLU(),
            Doubling(192, 128),
            _Residual(128),
            nn.SiLU(),
            halved,
            nn.PixelShuffle(2),
            nn.SiLU(),
            last,
            nn.PixelShuffle(2),
        )

    def forward(self, code: Tensor) -> Tensor:
        x: Tensor = self.convolutions(_grid(self.dense(code), self.grid))
        return 0.5 * x + 0.5


@torch.no_grad()
def _start_equal(convolution: nn.Conv2d, pixels: int) -> None:
    """The pixels of a block start equal: otherwise their differences stay as a dotted grid."""
    for values in convolution.parameters():
        values.copy_(values[::pixels].repeat_interleave(pixels, dim=0))


def _grid(flat: Tensor, grid: tuple[int, int, int]) -> Tensor:
    return flat.reshape(-1, *grid).contiguous(memory_format=torch.channels_last)


def _divisible(height: int, width: int, by: int) -> None:
    if height % by or width % by:
        raise ValueError(f"pictures of {height}×{width}: height and width must be multiples of {by}")
