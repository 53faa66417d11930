"""The search over W: grid, principal components, typical styles."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.decomposition import PCA

from models.subspace import (
    SubspaceStatistics,
    along_axes,
    coordinate_stds,
    describe,
    grid,
    principal_axes,
    typical_styles,
)

dims = pytest.mark.parametrize("dim", range(1, 9))


def cloud(dim, count=60, seed=0):
    """Codes N×dim around (1, 2, …), with principal components of distinct widths in no special direction."""
    generator = torch.Generator().manual_seed(seed)
    turn, _ = torch.linalg.qr(torch.randn(dim, dim, generator=generator))
    widths = 0.7 ** torch.arange(dim)
    return torch.randn(count, dim, generator=generator) * widths @ turn + torch.arange(1.0, dim + 1)


def statistics(present):
    absent = torch.zeros(3, present.shape[1])
    y = torch.cat([torch.ones(len(present)), torch.zeros(3)]).to(torch.int8)
    return describe(torch.cat([present, absent]), y)


@dims
def test_axes_and_widths_are_those_of_scikit_learn(dim):
    w = cloud(dim)
    axes, stds = principal_axes(w)
    pca = PCA().fit(w.double().numpy())
    assert axes.shape == (dim, dim)
    np.testing.assert_allclose(stds, np.sqrt(pca.explained_variance_), rtol=1e-4)
    aligned = np.sign((axes.numpy() * pca.components_).sum(1, keepdims=True)) * pca.components_
    np.testing.assert_allclose(axes, aligned, atol=1e-4)


@dims
def test_axes_point_to_where_their_largest_coordinate_is_positive(dim):
    for seed in range(5):
        axes, _ = principal_axes(cloud(dim, seed=seed))
        assert (axes.gather(1, axes.abs().argmax(1, keepdim=True)) > 0).all()


def test_axes_by_hand():
    w = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0], [0.0, -3.0]])
    axes, stds = principal_axes(w)
    torch.testing.assert_close(axes, torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    torch.testing.assert_close(stds, torch.tensor([18 / 3, 2 / 3]).sqrt())


def test_codes_without_any_spread_have_axes_of_width_zero():
    axes, stds = principal_axes(torch.full((10, 3), 0.1))
    torch.testing.assert_close(axes @ axes.T, torch.eye(3))
    assert stds.tolist() == pytest.approx([0, 0, 0], abs=1e-6)


@dims
def test_points_along_the_axes_are_scikit_learns_inverse_transform(dim):
    w = cloud(dim)
    found = statistics(w)
    pca = PCA(whiten=True).fit(w.double().numpy())
    signs = np.sign((found.axes.numpy() * pca.components_).sum(1))
    coefficients = torch.randn(7, dim, generator=torch.Generator().manual_seed(1))
    expected = pca.inverse_transform(coefficients.numpy() * signs)
    np.testing.assert_allclose(along_axes(found, coefficients), expected, atol=2e-4)


def test_coefficients_count_standard_deviations_along_the_first_axes():
    found = SubspaceStatistics(
        present_mean=torch.tensor([1.0, 1.0, 1.0]),
        absent_mean=torch.zeros(3),
        axes=torch.tensor([[0.0, 1.0, 0.0], [0.6, 0.0, 0.8], [0.8, 0.0, -0.6]]),
        stds=torch.tensor([3.0, 2.0, 1.0]),
        typical=torch.zeros(1, 3),
    )
    torch.testing.assert_close(along_axes(found, []), torch.tensor([1.0, 1.0, 1.0]))
    torch.testing.assert_close(along_axes(found, [-2.0]), torch.tensor([1.0, -5.0, 1.0]))
    torch.testing.assert_close(along_axes(found, [0.0, 1.0]), torch.tensor([2.2, 1.0, 2.6]))
    torch.testing.assert_close(along_axes(found, [0.0, 0.0, 1.0]), torch.tensor([1.8, 1.0, 0.4]))
    several = along_axes(found, torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    torch.testing.assert_close(several, torch.tensor([[2.2, 1.0, 2.6], [1.0, 4.0, 1.0]]))


def test_the_grid_lies_as_a_picture_does():
    points = grid(torch.tensor([3.0, 5.0]), rows=3, columns=2, half_width=2.0)
    assert points.tolist() == [[1, 7], [5, 7], [1, 5], [5, 5], [1, 3], [5, 3]]


def test_the_grid_may_be_wider_than_high():
    points = grid(torch.tensor([0.0, 0.0]), rows=2, columns=3, half_width=torch.tensor([4.0, 1.0]))
    assert points.tolist() == [[-4, 1], [0, 1], [4, 1], [-4, -1], [0, -1], [4, -1]]


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [(1, 1, [[3, 5]]), (1, 3, [[1, 5], [3, 5], [5, 5]]), (3, 1, [[3, 7], [3, 5], [3, 3]])],
)
def test_a_single_row_or_column_lies_at_the_centre(rows, columns, expected):
    assert grid(torch.tensor([3.0, 5.0]), rows, columns, 2.0).tolist() == expected


@settings(max_examples=50)
@given(st.integers(1, 9), st.integers(1, 9), st.floats(0.1, 5), st.floats(-5, 5))
def test_the_grid_is_centred_and_ordered_at_any_size(rows, columns, half_width, centre):
    centre = torch.tensor([centre, -centre])
    points = grid(centre, rows, columns, half_width)
    assert points.shape == (rows * columns, 2)
    torch.testing.assert_close(points.mean(0), centre, atol=1e-4, rtol=0)
    lines = points.reshape(rows, columns, 2)
    assert (lines[:, 1:, 0] > lines[:, :-1, 0]).all()
    assert (lines[1:, :, 1] < lines[:-1, :, 1]).all()


def test_a_description_has_the_means_of_both_classes_and_leaves_unknown_labels_out():
    w = torch.tensor([[1.0, 2.0], [3.0, 6.0], [-1.0, 0.0], [0.0, -1.0], [-2.0, 1.0], [100.0, 100.0]])
    found = describe(w, torch.tensor([1, 1, 0, 0, 0, -1], dtype=torch.int8))
    assert found.present_mean.tolist() == [2, 4]
    assert found.absent_mean.tolist() == [-1, 0]
    # The present codes lie on one line, (1, 2) apart: along it a variance of 10 (over N − 1), across it none.
    torch.testing.assert_close(found.axes[0], torch.tensor([1.0, 2.0]) / 5**0.5)
    torch.testing.assert_close(found.stds, torch.tensor([10.0**0.5, 0.0]), atol=1e-6, rtol=1e-6)
    assert sorted(found.typical.tolist()) == [[1, 2], [3, 6]]


@pytest.mark.parametrize("strength", [None, torch.tensor([0.0, 1.0])])
def test_a_single_wearer_is_a_style_without_spread(strength):
    w = torch.tensor([[1.0, 2.0], [-1.0, 0.0], [0.0, -1.0]])
    found = describe(w, torch.tensor([1, 0, 0], dtype=torch.int8), strength=strength)
    assert found.present_mean.tolist() == [1, 2]
    assert found.stds.tolist() == [0, 0]
    torch.testing.assert_close(found.axes @ found.axes.T, torch.eye(2))


@settings(max_examples=50)
@given(
    st.integers(1, 8).flatmap(
        lambda dim: st.integers(2, 12).flatmap(
            lambda count: arrays(np.float32, (count, dim), elements=st.floats(-100, 100, width=32))
        )
    )
)
def test_the_spread_along_coordinates_is_that_of_the_columns(w):
    w = torch.from_numpy(w)
    torch.testing.assert_close(coordinate_stds(statistics(w)), w.std(0), rtol=1e-3, atol=1e-3)


def clusters(dim):
    """Three styles: 8, 30 and 15 codes, in that order, far from each other in every coordinate."""
    generator = torch.Generator().manual_seed(dim)
    centres = torch.stack([torch.zeros(dim), torch.full((dim,), 20.0), torch.full((dim,), -20.0)])
    sizes = torch.tensor([8, 30, 15])
    member = torch.arange(3).repeat_interleave(sizes)
    return centres[member] + 0.3 * torch.randn(len(member), dim, generator=generator), member


@dims
def test_typical_styles_are_real_codes_one_of_every_cluster_the_commonest_first(dim):
    w, member = clusters(dim)
    shuffled = torch.randperm(len(w), generator=torch.Generator().manual_seed(0))
    w, member = w[shuffled], member[shuffled]
    styles = typical_styles(w, 3)
    rows = [(w == style).all(1).nonzero().item() for style in styles]
    assert member[rows].tolist() == [1, 2, 0]


@dims
def test_a_typical_style_lies_in_the_middle_of_its_cluster(dim):
    w, member = clusters(dim)
    middles = torch.stack([w[member == m].mean(0) for m in (1, 2, 0)])
    nearest = torch.stack([w[(w - middle).square().sum(1).argmin()] for middle in middles])
    reach = (nearest - middles).norm(dim=1)
    assert ((typical_styles(w, 3) - middles).norm(dim=1) <= 1.001 * reach).all()


@pytest.mark.parametrize("seed", range(10))
def test_a_coordinate_that_carries_little_hides_no_style(seed):
    generator = torch.Generator().manual_seed(seed)
    middles = torch.tensor([-1.0, 0.0, 1.0]).repeat_interleave(20)
    noise = torch.randn(60, 2, generator=generator) * torch.tensor([0.1, 0.01])
    styles = typical_styles(torch.stack([middles, torch.zeros(60)], 1) + noise, 3)
    assert styles[:, 0].round().sort().values.tolist() == [-1, 0, 1]


def test_typical_styles_depend_on_nothing_but_the_codes():
    w = cloud(2)
    torch.manual_seed(1)
    first = typical_styles(w, 6)
    torch.manual_seed(2)
    assert torch.equal(typical_styles(w, 6), first)
    assert len(first.unique(dim=0)) == 6


def test_there_are_no_more_typical_styles_than_codes():
    w = torch.tensor([[0.0, 1.0], [5.0, 5.0]])
    assert sorted(typical_styles(w, 6).tolist()) == [[0, 1], [5, 5]]
