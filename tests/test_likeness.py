"""Errors of pictures: worked out by hand, and what may move by them."""

import math

import pytest
import torch

from models.freezing import frozen
from models.likeness import log_error, log_feature_error
from models.readers import Reader


def test_rows_count_what_they_weigh():
    x = torch.zeros(2, 3, 4, 4)
    x_hat = torch.stack([x[0] + 0.1, x[1] + 0.3])
    found = log_error(x_hat, x, torch.tensor([1.5, 0.5]))
    assert float(found) == pytest.approx(math.log((1.5 * 0.01 + 0.5 * 0.09) / 2), rel=1e-5)


def test_a_channel_that_varies_twice_as_much_counts_no_more():
    class Levels(Reader):
        factor = 1.0

        def forward(self, x):
            level = torch.cat([x, self.factor * x.flip(0)], dim=1)
            return level, level, level

    torch.manual_seed(0)
    reader, x = Levels((3, 16, 16), 1), torch.rand(6, 3, 16, 16)
    x_hat, rows = x + 0.05 * torch.randn_like(x), torch.ones(6)
    once = log_feature_error(reader, x_hat, x, rows)
    reader.factor = 2.0
    assert float(log_feature_error(reader, x_hat, x, rows)) == pytest.approx(float(once), rel=1e-2)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_errors_of_features_and_their_gradient_are_those_of_plain_arithmetic(layout):
    class Same(Reader):
        def forward(self, x):
            return x, x, x

    torch.manual_seed(0)
    reader, x = Same((3, 16, 16), 1), torch.rand(4, 3, 16, 16).to(memory_format=layout)
    x_hat, rows = torch.rand(4, 3, 16, 16).to(memory_format=layout).requires_grad_(), torch.rand(4)
    deviation = x.std((0, 2, 3), keepdim=True) + 1e-3
    plain = ((((x_hat - x) / deviation).square().flatten(1).mean(1) * rows).mean() + 1e-8).log()
    (wanted,) = torch.autograd.grad(plain, x_hat)
    found = log_feature_error(reader, x_hat, x, rows)
    (gradient,) = torch.autograd.grad(found, x_hat)
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-7)


def test_a_frozen_reader_passes_gradients_on_and_takes_none():
    torch.manual_seed(0)
    reader, x = Reader((3, 16, 16), 1), torch.rand(4, 3, 16, 16)
    x_hat = torch.rand(4, 3, 16, 16, requires_grad=True)
    log_feature_error(reader, x_hat, x, torch.ones(4)).backward()
    assert x_hat.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in reader.parameters())
    reader.head.bias.requires_grad_(False)
    with frozen(reader):
        pass
    assert not reader.head.bias.requires_grad  # what rested before rests after
    assert reader.head.weight.requires_grad
