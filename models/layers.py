"""Layers that compute what plain ones do, in a shape or an order that is faster."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FromPicture(nn.Conv2d):
    """A 5×5 convolution of stride 2 of a picture, brought to [−1, 1].

    On a GPU it is one of 2×2 blocks of pixels: matrix units take channels by the dozen, and with three most
    of their work is for nothing. On a CPU the plain one is faster.
    """

    def forward(self, x: Tensor) -> Tensor:
        x = 2 * x - 1
        return halved(x, self.weight) if x.is_cuda else super().forward(x)


class ToPicture(nn.Conv2d):
    """A 5×5 convolution to the few channels of a picture, on a GPU as one of 2×2 blocks of pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return blocked(x, self.weight, self.bias) if x.is_cuda else super().forward(x)


_UNITS = 8
"""Channels that matrix units take at once: others are brought to a multiple, which libraries do slowly."""


def halved(x: Tensor, weight: Tensor) -> Tensor:
    """The same as conv2d(x, weight, stride=2, padding=2), by a 3×3 convolution of blocks of pixels.

    x: N×C×H×W, H and W even; weight: K×C×5×5, of which a row and a column of zeros make 3×3 blocks.
    """
    outputs, inputs = weight.shape[:2]
    spare = -4 * inputs % _UNITS
    each = F.pad(weight, (0, 1, 0, 1)).view(outputs, inputs, 3, 2, 3, 2)
    kernel = each.permute(0, 3, 5, 1, 2, 4).reshape(outputs, 4 * inputs, 3, 3)
    blocks, kernel = (F.pad(one, (0, 0, 0, 0, 0, spare)) for one in (_blocks(x), kernel))
    return F.conv2d(blocks, kernel.contiguous(memory_format=torch.channels_last), padding=1)


def blocked(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The same as conv2d(x, weight, bias, padding=2), by a 3×3 convolution of half the height and width.

    x: N×C×H×W, H and W even; weight: K×C×5×5. Each of a block's four pixels has a convolution of its own,
    whose 3×3 blocks hold the 5×5 pixels around it, and a row and a column of zeros.
    """
    outputs, inputs = weight.shape[:2]
    count, _, height, width = x.shape
    spare = -4 * outputs % _UNITS
    sides = [F.pad(weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
    each = torch.cat(sides).view(4 * outputs, inputs, 3, 2, 3, 2)
    kernel = each.permute(0, 3, 5, 1, 2, 4).reshape(4 * outputs, 4 * inputs, 3, 3)
    kernel = F.pad(kernel, (0, 0, 0, 0, 0, 0, 0, spare)).contiguous(memory_format=torch.channels_last)
    repeated = None if bias is None else F.pad(bias.repeat(4), (0, spare))
    found = F.conv2d(_blocks(x), kernel, repeated, padding=1)[:, : 4 * outputs]
    return _unblocked(found.permute(0, 2, 3, 1).reshape(count, height // 2, width // 2, 2, 2, outputs))


def _blocks(x: Tensor) -> Tensor:
    """N×C×2H×2W -> N×4C×H×W, each place a block of 2×2 pixels, channels last in memory."""
    count, channels, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(count, height // 2, 2, width // 2, 2, channels)
    return pixels.permute(0, 1, 3, 2, 4, 5).reshape(count, height // 2, width // 2, -1).permute(0, 3, 1, 2)


def _unblocked(blocks: Tensor) -> Tensor:
    """N×H×W×2×2×C, each place a block of 2×2 pixels -> N×C×2H×2W, channels last in memory."""
    count, height, width = blocks.shape[:3]
    rows = blocks.permute(0, 1, 3, 2, 4, 5).reshape(count, 2 * height, 2 * width, -1)
    return rows.permute(0, 3, 1, 2)


class Dense(nn.Linear):
    """A large matrix, which on a GPU gets its gradient in its own precision from a product in a lower one.

    Autograd would have the gradient in the lower precision and bring it to the matrix's, which takes longer
    than the product. Bringing the matrix to the lower one takes as long, and waits for memory, not for
    arithmetic: so it is asked for before the convolutions, and done beside them.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def lowered(self, x: Tensor) -> "_Lowered | None":
        """For `product` with what comes of x; None where the matrix serves as it is."""
        if not (x.is_cuda and torch.is_autocast_enabled("cuda")):
            return None
        here, beside = torch.cuda.current_stream(), torch.cuda.Stream()
        beside.wait_stream(here)
        with torch.cuda.stream(beside), torch.no_grad():
            matrix = self.weight.to(torch.get_autocast_dtype("cuda"))
        matrix.record_stream(here)
        return _Lowered(matrix, beside)

    def product(self, x: Tensor, lowered: "_Lowered | None") -> Tensor:
        if lowered is None:
            return super().forward(x)
        torch.cuda.current_stream().wait_stream(lowered.stream)
        product: Tensor = _Product.apply(x.to(lowered.matrix.dtype), self.weight, lowered.matrix)
        return product


class _Lowered(NamedTuple):
    """A matrix in a lower precision, and the stream that it is made on."""

    matrix: Tensor
    stream: torch.cuda.Stream


class _Product(torch.autograd.Function):
    """x Wᵀ in x's precision, which `low` has of W; the gradient of W in W's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, low: Tensor) -> Tensor:
        ctx.save_for_backward(x, low)
        ctx.precision = weight.dtype
        return x @ low.T

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor, Tensor, None]:
        x, low = ctx.saved_tensors
        return above[0] @ low, torch.mm(above[0].T, x, out_dtype=ctx.precision), None


class Rectified(nn.BatchNorm2d):
    """Batch normalisation and the ReLU after it.

    Where a compiler is at work, and statistics are a batch's, both are written out (`rectified`): a compiler
    knows neither of the ways in which that saves memory's time. flat: N×C·H·W of N×C×H×W (before the ReLU,
    which is slow on a CPU where its gradient lies otherwise than it).
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def __init__(self, channels: int, *, flat: bool = False) -> None:
        super().__init__(channels)
        self.flat = flat

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and torch.compiler.is_compiling()):
            normal = super().forward(x)
            return F.relu(normal.flatten(1) if self.flat else normal)
        y, mean, var = rectified(x, self.weight, self.bias, self.eps)
        with torch.no_grad():
            count = x.numel() // x.shape[1]
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
        return y.flatten(1) if self.flat else y


def rectified(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """(relu(batch_norm(x)), the batch's mean and variance C); x: N×C×H×W, channels last in memory.

    Sums over pixels are taken in two steps, and the way back finds anew where the ReLU was open instead of
    reading it.
    """
    y, mean, var = _Rectified.apply(x, weight, bias, eps)
    return y, mean, var


class _Rectified(torch.autograd.Function):
    """`rectified`, for a compiler: what several sums read is of few tensors, else it is written out first."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = _rows(x)
        mean = _sum(rows) / len(rows)
        var = (_sum(rows.square()) / len(rows) - mean.square()).clamp(min=0)
        inverse = (var + eps).rsqrt()
        scale = weight * inverse
        shift = bias - mean * scale
        ctx.save_for_backward(x, mean, inverse, scale, shift)
        ctx.mark_non_differentiable(mean, var)
        return _like(torch.relu(rows * scale + shift), x), mean, var

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, mean, inverse, scale, shift = ctx.saved_tensors
        rows = _rows(x)
        g = torch.where(rows * scale + shift > 0, _rows(above[0]), 0.0)
        bias = _sum(g)
        weight = inverse * (_sum(g * rows) - mean * bias)
        slope = scale * inverse * weight / len(rows)
        down = g * scale - rows * slope + (mean * slope - scale * bias / len(rows))
        return _like(down, x), weight, bias, None


_PARTS, _PIXELS = 512, 256
"""Parts of a batch whose sums are taken apart, so that all of a GPU has some to take, and pixels of each."""


def _sum(rows: Tensor) -> Tensor:
    """M×C -> C."""
    parts = math.gcd(len(rows), min(_PARTS, max(1, len(rows) // _PIXELS)))
    return rows.reshape(parts, -1, rows.shape[1]).sum(1).sum(0)


def _rows(x: Tensor) -> Tensor:
    """N×C×H×W -> its pixels, N·H·W×C, in single precision."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]).float()


def _like(rows: Tensor, x: Tensor) -> Tensor:
    """`_rows` back, in x's precision."""
    count, channels, height, width = x.shape
    return rows.to(x.dtype).view(count, height, width, channels).permute(0, 3, 1, 2)


class Doubling(nn.ConvTranspose2d):
    """A transposed convolution of 2×2 blocks side by side, as one matrix product: faster on a CPU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 2, 2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: ARG002
        count, inputs, height, width = x.shape
        weight = self.weight.permute(2, 3, 1, 0).reshape(-1, inputs)
        bias = None if self.bias is None else self.bias.repeat(4)
        return _unblocked(F.linear(x.permute(0, 2, 3, 1), weight, bias).view(count, height, width, 2, 2, -1))
