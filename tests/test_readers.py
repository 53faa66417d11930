"""Readers of labels of several makes, and how they share people among them."""

import pytest
import torch
from torch import nn

from models.readers import MAKES, read_by_shares


class Says(nn.Module):
    """A reader whose only logit is its own number plus the picture's brightness."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def forward(self, x):
        return self.number + x.mean((1, 2, 3))[:, None]


def test_each_reader_looks_at_its_people_and_at_all_pictures_of_these():
    brightness = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])  # of five people, twice
    pictures = brightness[:, None, None, None].expand(-1, 3, 4, 4)
    found = read_by_shares([Says(10), Says(20)], pictures, 2)
    expected = torch.tensor([[10.0, 10.1, 10.2, 20.3, 20.4], [10.5, 10.6, 10.7, 20.8, 20.9]])
    torch.testing.assert_close(found, expected[:, :, None])
    torch.testing.assert_close(read_by_shares([Says(1)], pictures, 1)[0, :, 0], 1 + brightness)


def test_more_readers_than_people_are_no_trouble():
    readers = [make.network((3, 16, 16), 2).eval() for make in MAKES.values()]
    assert len(readers) > 3
    pictures = torch.rand(6, 3, 16, 16, requires_grad=True)
    found = read_by_shares(readers, pictures, 2)
    assert found.shape == (2, 3, 2)
    found.sum().backward()
    assert (pictures.grad.abs().sum((1, 2, 3)) > 0).all()


@pytest.mark.parametrize("name", MAKES)
def test_makes_read_pictures_of_any_size_from_16_on(name):
    for shape in ((3, 16, 16), (1, 40, 24), (3, 64, 64)):
        network = MAKES[name].network(shape, 4)
        logits = network(torch.rand(2, *shape))
        assert logits.shape == (2, 4)
        logits.sum().backward()
        assert all(bool(p.grad.any()) for p in network.parameters())
