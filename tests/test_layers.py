"""Faster ways to compute what torch computes, against torch."""

import torch
from torch.nn import functional as F

from models.layers import Doubling, Rectified, blocked, halved, rectified


def same(found, expected, inputs):
    """Values, gradients of the inputs, and channels last in memory."""
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)
    weights = torch.randn_like(expected)
    ours = torch.autograd.grad((weights * found).sum(), inputs)
    theirs = torch.autograd.grad((weights * expected).sum(), inputs)
    torch.testing.assert_close(ours, theirs)


def test_doubling_is_a_transposed_convolution():
    torch.manual_seed(0)
    layer = Doubling(6, 5)
    x = torch.randn(3, 6, 4, 2).to(memory_format=torch.channels_last).requires_grad_()
    same(layer(x), F.conv_transpose2d(x, layer.weight, layer.bias, stride=2), (x, *layer.parameters()))


def test_a_convolution_of_blocks_is_the_plain_one():
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(6, 3, 5, padding=2)
    x = torch.randn(2, 6, 8, 4).to(memory_format=torch.channels_last).requires_grad_()
    same(blocked(x, layer.weight, layer.bias), layer(x), (x, *layer.parameters()))


def test_a_convolution_of_blocks_with_stride_two_is_the_plain_one():
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(3, 5, 5, 2, 2, bias=False)
    x = torch.randn(2, 3, 8, 12).to(memory_format=torch.channels_last).requires_grad_()
    same(halved(x, layer.weight), layer(x), (x, layer.weight))


def test_batch_norm_and_relu_written_out_are_the_plain_ones():
    torch.manual_seed(0)
    layer = Rectified(6)
    with torch.no_grad():
        layer.weight.uniform_(-2, 2)
        layer.bias.normal_()
    x = (3 * torch.randn(4, 6, 8, 4) + 1).to(memory_format=torch.channels_last).requires_grad_()
    found, mean, var = rectified(x, layer.weight, layer.bias, layer.eps)
    same(found, layer(x), (x, layer.weight, layer.bias))
    torch.testing.assert_close(mean, x.mean((0, 2, 3)))
    torch.testing.assert_close(var, x.var((0, 2, 3), unbiased=False))


def test_compiled_batch_norm_keeps_the_statistics_of_the_plain_one():
    torch.manual_seed(0)
    plain, compiled = Rectified(6, flat=True), Rectified(6, flat=True)
    x = (3 * torch.randn(4, 6, 8, 4) + 1).to(memory_format=torch.channels_last)
    step = torch.compile(compiled.forward, dynamic=False, backend="aot_eager")
    for _ in range(2):
        torch.testing.assert_close(step(x), plain(x))
    torch.testing.assert_close(compiled.state_dict(), plain.state_dict())
    torch.testing.assert_close(compiled.eval()(x), plain.eval()(x))
