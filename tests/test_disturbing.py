"""Pictures as they could as well have been taken."""

import pytest
import torch

from models.disturbing import disturbed, mirrored, softened


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def dots(count):
    """A white dot of 4×4 pixels, a quarter to the right of the middle of a grey picture of 64×64."""
    x = torch.full((count, 3, 64, 64), 0.4)
    x[:, :, 30:34, 46:50] = 0.8
    return x


def centre(x):
    """Where what is brighter than the rest lies, in pixels from the middle: (right, down), N×2."""
    light = (x.mean(1) - x.mean(1).flatten(1).median(1).values[:, None, None]).clamp(min=0.1) - 0.1
    places = torch.arange(64) - 31.5
    across, down = ((light.sum(side) * places).sum(1) for side in (1, 2))
    return torch.stack([across, down], dim=1) / light.sum((1, 2))[:, None]


def test_half_of_the_pictures_are_mirrored_and_nothing_else_changes():
    x = dots(400)
    found = mirrored(x, noise())
    turned = centre(found)[:, 0] < 0
    assert 160 < int(turned.sum()) < 240
    torch.testing.assert_close(found[turned], x[turned].flip(3))
    torch.testing.assert_close(found[~turned], x[~turned])


def test_disturbed_pictures_are_in_other_places_but_never_far():
    x = dots(400)
    moved = centre(disturbed(x, noise())) - centre(x)
    assert moved.abs().max() < 6  # of 64: two deviations of a move, a size and an angle
    assert 0.5 < moved.std() < 2
    assert moved.mean(0).abs().max() < 0.3


def test_disturbed_pictures_are_in_another_light_but_never_far():
    x = torch.full((400, 3, 8, 8), 0.6)
    found = disturbed(x, noise())
    assert torch.allclose(found, found[:, :, :1, :1], atol=1e-5)  # an even picture stays even
    light = found[:, :, 0, 0]
    assert (light - 0.6).abs().max() < 0.15
    assert light.mean() == pytest.approx(0.6, abs=0.01)
    assert 0.005 < (light - light.mean(1, keepdim=True)).std() < 0.03  # of the colours, within a picture


def test_disturbed_pictures_stay_pictures():
    x = torch.randint(0, 2, (50, 3, 16, 16), generator=noise()).float()
    found = disturbed(x, noise(1))
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(found, disturbed(x, noise(1)))
    assert not torch.equal(found, disturbed(x, noise(2)))


def test_two_pictures_in_three_are_blurred_each_otherwise():
    x = torch.zeros(600, 1, 17, 17)
    x[:, :, 8, 8] = 1
    found = softened(x, noise())[:, 0]
    peak = found[:, 8, 8]
    sharp = peak == 1
    assert 150 < int(sharp.sum()) < 260
    torch.testing.assert_close(found[sharp], x[sharp, 0])
    assert len(peak[~sharp].unique()) > 300
    torch.testing.assert_close(found.sum((1, 2)), torch.ones(600), atol=0.01, rtol=0)
    # A Gaussian of two pixels, the widest, leaves 1 / (2π 2²) in the middle, and e^(−1/8) of that beside it.
    assert peak.min() == pytest.approx(1 / (8 * torch.pi), rel=0.05)
    widest = found[peak.argmin()]
    assert widest[8, 9] / widest[8, 8] == pytest.approx(0.8825, rel=0.02)


def test_a_blur_leaves_an_even_picture_as_it_is():
    x = torch.full((9, 3, 12, 20), 0.7)
    torch.testing.assert_close(softened(x, noise()), x)
