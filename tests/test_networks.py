"""Faster ways to compute what torch computes, against torch."""

import torch
from torch.nn import functional as F

from models.networks import _Doubling


def test_doubling_is_a_transposed_convolution():
    torch.manual_seed(0)
    layer = _Doubling(6, 5)
    x = torch.randn(3, 6, 4, 2).to(memory_format=torch.channels_last).requires_grad_()
    found = layer(x)
    expected = F.conv_transpose2d(x, layer.weight, layer.bias, stride=2)
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)
    weights = torch.randn_like(expected)
    inputs = (x, *layer.parameters())
    ours = torch.autograd.grad((weights * found).sum(), inputs)
    theirs = torch.autograd.grad((weights * expected).sum(), inputs)
    torch.testing.assert_close(ours, theirs)
