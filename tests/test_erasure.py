"""Linear erasure, against linear probes and by its own promises."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from models.erasure import linear_eraser
from models.kind import build


def leaking(seed: int, rows: int = 400, dim: int = 6, labels: int = 2) -> tuple[Tensor, Tensor]:
    """Codes of dimensions that hang together, with every label along a direction of its own."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (rows, labels), generator=generator)
    mixed = torch.randn(rows, dim, generator=generator) @ torch.randn(dim, dim, generator=generator)
    return mixed + 2 * y.float() @ torch.randn(labels, dim, generator=generator), y


def erased(z: Tensor, y: Tensor) -> Tensor:
    mean, matrix = linear_eraser(z, y)
    return z - (z - mean) @ matrix.T


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_no_label_has_a_covariance_with_any_coordinate_left(seed, labels):
    z, y = leaking(seed, labels=labels)
    left = erased(z, y)
    for label in range(labels):
        present = y[:, label] == 1
        before = (z[present].mean(0) - z[~present].mean(0)).norm()
        after = (left[present].mean(0) - left[~present].mean(0)).norm()
        assert after < 1e-4 * before
    torch.testing.assert_close(left.mean(0), z.mean(0), atol=1e-4, rtol=0)


def test_a_linear_probe_reads_nothing_any_more():
    z, y = leaking(3)
    probe = LogisticRegression(max_iter=1000)
    assert probe.fit(z.numpy(), y[:, 0].numpy()).score(z.numpy(), y[:, 0].numpy()) > 0.75
    left = erased(z, y).numpy()
    majority = max(np.bincount(y[:, 0].numpy())) / len(y)
    assert probe.fit(left, y[:, 0].numpy()).score(left, y[:, 0].numpy()) == pytest.approx(majority, abs=0.02)


def test_what_it_takes_out_is_what_must_go():
    # Uncorrelated coordinates, the label in the first alone: that is flattened, the others stay.
    generator = torch.Generator().manual_seed(0)
    y = torch.tensor([0, 1]).repeat(500)[:, None]
    z = torch.randn(1000, 3, generator=generator)
    z[:, 1:] -= (z[:, 1:] * (2 * y - 1)).mean(0) * (2 * y - 1)  # exactly no covariance with the label
    z[:, 0] = 2.0 * y[:, 0]
    left = erased(z, y)
    assert left[:, 0].std() < 0.05
    assert (left[:, 1:] - z[:, 1:]).abs().max() < 0.2
    again = erased(left, y)
    torch.testing.assert_close(again, left, atol=1e-4, rtol=0)


def test_unknown_labels_and_dimensions_at_rest_do_no_harm():
    z, y = leaking(5, labels=1)
    z[:, 2] = 0
    y[:100] = -1
    left = erased(z, y)
    assert left.isfinite().all()
    assert left[:, 2].abs().max() < 1e-12
    known = y[:, 0] >= 0
    kept, labels = left[known], y[known, 0] == 1
    torch.testing.assert_close(kept[labels].mean(0), kept[~labels].mean(0), atol=1e-3, rtol=0)
    torch.testing.assert_close(erased(z, torch.full_like(y, -1)), z)


def test_a_settled_csvae_gives_codes_that_are_erased_and_trains_on_whole_ones():
    torch.manual_seed(0)
    model = build("csvae", shape=(3,), labels=1, network="points", latent_dim=4).eval()
    y = torch.randint(0, 2, (300, 1), generator=torch.Generator().manual_seed(1))
    x = torch.randn(300, 3, generator=torch.Generator().manual_seed(2)) + 3 * y
    with torch.no_grad():
        model.z_head.weight.mul_(20)  # no dimension is to be put to rest
        raw = model.encode(x).z_mu
        model.settle(raw, y)
        settled = model.encode(x).z_mu
        present = y[:, 0] == 1
        gap, before = ((codes[present].mean(0) - codes[~present].mean(0)).norm() for codes in (settled, raw))
        assert gap < 1e-3 * before
        model.wake()
        assert torch.equal(model.encode(x).z_mu, raw)
        model.settle(raw, y)
        model.train()
        assert torch.equal(model.encode(x).z_mu, raw)
