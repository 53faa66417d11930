"""What the styles of an attribute are."""

import torch

from models.styles import alike, combinations, contrast
from models.subspace import describe


def test_contrast_finds_the_directions_in_which_only_wearers_differ():
    noise = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(12, 12, generator=noise)).Q
    # Everyone differs most along the first two directions; wearers also along the third and fourth.
    everyone = torch.tensor([9.0, 7.0, *[0.3] * 10])
    wearing = everyone.clone()
    wearing[2:4] = torch.tensor([3.0, 2.0])
    absent = torch.randn(3000, 12, generator=noise) * everyone @ basis.T
    latent = torch.randn(3000, 12, generator=noise) * wearing
    present = latent @ basis.T + 1
    matrix, offset = contrast(present, absent, 2)
    styles = present @ matrix + offset
    assert torch.allclose(styles.mean(0), torch.zeros(2), atol=1e-3)
    assert torch.allclose(styles.std(0), torch.ones(2), atol=1e-3)
    correlation = torch.corrcoef(torch.cat([styles, latent], dim=1).T)[:2, 2:].abs()
    assert (correlation[:, 2:4].square().sum(1) > 0.9).all()


def test_styles_say_nothing_of_what_is_seen_around():
    noise = torch.Generator().manual_seed(0)
    # Wearers differ in their light, the first feature, more than in their style, the second.
    spreads = torch.ones(2, 60)
    spreads[1, :2] = torch.tensor([5.0, 3.0])
    absent, present = (torch.randn(3000, 60, generator=noise) * spread for spread in spreads)
    # What lies around shows the light, and much that no feature knows of.
    dust = 9 * torch.randn(2, 3000, 1, generator=noise)
    around = tuple(
        torch.cat([2 * x[:, :1] + 7, part], dim=1) for x, part in zip((present, absent), dust, strict=True)
    )
    for told, feature in ((None, 0), (around, 1)):
        matrix, offset = contrast(present, absent, 3, told)  # of which there are two at most: it is unclear
        styles = present @ matrix + offset
        found = torch.corrcoef(torch.cat([styles[:, :1], present[:, :2]], dim=1).T)[0, 1:].abs()
        assert found[feature] > 0.95
        assert found[1 - feature] < 0.05
        assert (styles[:, 2] == 0).all()
    # All that is asked for is clear, so nothing is taken from it.
    assert torch.equal(contrast(present, absent, 2, around)[0], contrast(present, absent, 2)[0])


def test_few_pictures_have_fewer_styles():
    noise = torch.Generator().manual_seed(0)
    present = 9 * torch.randn(3, 20, generator=noise)
    matrix, offset = contrast(present, torch.randn(2, 20, generator=noise), 8)
    styles = present @ matrix + offset
    assert styles.shape == (3, 8)
    assert styles[:, 0].std() > 0.9
    assert (styles[:, 5:] == 0).all()


def test_hardly_any_pictures_whose_surroundings_are_known_have_one_style_or_none():
    noise = torch.Generator().manual_seed(0)
    for with_it, without in ((2, 2), (2, 3), (3, 2)):
        present, absent = (torch.randn(count, 20, generator=noise) for count in (with_it, without))
        around = tuple(torch.randn(count, 6, generator=noise) for count in (with_it, without))
        matrix, offset = contrast(present, absent, 8, around)
        assert (present @ matrix + offset).isfinite().all()


def test_contrast_leaves_the_random_state_as_it_was():
    x = torch.randn(50, 6)
    torch.manual_seed(5)
    contrast(x, 0.5 * x, 2)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))


def test_those_without_are_alike_in_the_kept_labels():
    # label, then a kept one: two wearers with it, one without.
    y = torch.tensor([[1, 1], [1, 1], [1, 0], [0, 1], [0, 1], [0, 1], [0, 0], [0, 0]], dtype=torch.int8)
    present, absent = alike(y, 0, torch.tensor([1]), 100)
    assert present.tolist() == [0, 1, 2]
    assert absent.tolist() == [6, 3, 4]


def test_of_many_every_combination_of_the_kept_labels_is_there_as_often_with_and_without():
    noise = torch.Generator().manual_seed(0)
    kept = torch.randint(0, 2, (5_000, 3), generator=noise).sort(0).values  # rows sorted by what they show
    label = (torch.rand(5_000, 1, generator=noise) < 0.4).long()
    y = torch.cat([label, kept], dim=1).to(torch.int8)
    present, absent = alike(y, 0, torch.tensor([1, 2, 3]), 400)
    assert len(present) == 400
    assert (y[present, 0] == 1).all()
    assert (y[absent, 0] == 0).all()
    with_it, without = (combinations(y[rows, 1:]).bincount(minlength=8) for rows in (present, absent))
    assert torch.equal(with_it, without)
    assert (with_it > 0).sum() == len(combinations(y[:, 1:]).unique())


def test_components_run_across_the_axis_of_strength():
    noise = torch.Generator().manual_seed(0)
    w = torch.randn(500, 4, generator=noise) * torch.tensor([5.0, 1.0, 2.0, 0.5])
    y = torch.ones(500)
    y[:100] = 0
    found = describe(w, y, strength=torch.tensor([1.0, 0.0, 0.0, 0.0]))
    assert torch.allclose(found.axes @ found.axes.T, torch.eye(4), atol=1e-4)
    assert torch.allclose(found.axes[-1], torch.tensor([1.0, 0.0, 0.0, 0.0]))
    assert found.stds[:3].tolist() == sorted(found.stds[:3].tolist(), reverse=True)
    wearers = w[100:]
    expected = wearers.mean(0) + torch.tensor([1.0, 0.0, 0.0, 0.0]) * wearers[:, 0].std()
    assert torch.allclose(found.present_mean, expected, atol=1e-4)
